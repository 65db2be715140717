// For everyone: languages, colours, narrow screens, keyboards, screen readers.
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { ask, describePage, desktop, eventually, phone, single } from './scene.ts';
import { violations } from './violations.ts';

const overflow = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

const answer =
  '**Bold** `code` [link](https://example.org)\n\n```js\nlet a = 1;\n```\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n> said';

describePage('people', ({ server, open }) => {
  for (const locale of ['en-GB', 'zh-CN']) {
    for (const viewport of [desktop, phone]) {
      it(`axe finds nothing, and nothing sticks out: ${locale}, light and dark, ${viewport.width} px`, async () => {
        server.reply = ({ model }) =>
          model === 'plain-answers' ? { status: 400, message: 'refused', code: 'x' } : { pieces: [answer] };
        // Colours change at once, so that none is measured on its way.
        const page = await open({ locale, viewport, reducedMotion: 'reduce', expectErrors: /400/ });
        await page.locator('.example').first().click();
        await page.locator('form button[type=submit]').click();
        await page.locator('.facts').waitFor();
        await page.locator('.problem-text').waitFor();
        expect(await violations(page)).toEqual([]);
        expect(await overflow(page)).toBe(0);
        await page.getByRole('radio').nth(4).check();
        await page.locator('.composer').waitFor();
        if (viewport === phone) await page.locator('.mode-button').click();
        expect(await violations(page)).toEqual([]);
        expect(await overflow(page)).toBe(0);
      });
    }
  }

  it('speaks the language of the browser, and the one that was chosen from then on', async () => {
    const page = await open({ locale: 'zh-TW' });
    await page.getByLabel('指令').first().waitFor();
    expect(await page.evaluate(() => [document.documentElement.lang, document.title])).toEqual([
      'zh-CN',
      '试用 – Huacaya',
    ]);
    await page.getByRole('slider', { name: '温度' }).fill('0');
    expect(await page.getByRole('region', { name: '实际效果' }).textContent()).toBe(
      '贪心温度为 0：总是选最可能的 token。同样的问题，同样的回答。Top-p、Top-k、Min-p和种子：无效。',
    );
    await page.getByLabel('语言').selectOption({ label: 'English' });
    await page.getByLabel('Instruction').waitFor();
    expect(await page.evaluate(() => document.documentElement.lang)).toBe('en');
    await page.reload();
    await page.getByLabel('Instruction').waitFor();
    const german = await open({ locale: 'de-DE' });
    await german.getByLabel('Instruction').waitFor();
  });

  it('is as light or dark as the system, or as chosen', async () => {
    const page = await open({ colorScheme: 'dark' });
    const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const dark = await paper();
    await page.getByRole('radio', { name: 'Light' }).check();
    const light = await paper();
    expect(light).not.toBe(dark);
    await page.reload();
    await page.getByRole('radio', { name: 'Light', checked: true }).waitFor();
    expect(await paper()).toBe(light);
    await page.getByRole('radio', { name: 'As the system' }).check();
    expect(await paper()).toBe(dark);
    await page.emulateMedia({ colorScheme: 'light' });
    expect(await paper()).toBe(light);
  });

  it('does without movement for those who ask for it', async () => {
    server.reply = () => ({ pieces: ['a', 'b'], pause: 5000 });
    const page = await open({ reducedMotion: 'reduce' });
    await ask(page, 'Slowly.');
    await page.locator('.pulse').first().waitFor();
    expect(await page.evaluate(() => document.getAnimations().length)).toBe(0);
    await page.emulateMedia({ reducedMotion: 'no-preference' });
    expect(await page.evaluate(() => document.getAnimations().length)).toBeGreaterThan(0);
    await page.keyboard.press('Escape');
  });

  it('works with the keyboard alone', async () => {
    const page = await open();
    await page.getByLabel('Side by side with').waitFor();
    const focused = () => page.evaluate(() => document.activeElement!.textContent);
    /** The outline of the focused element, or of the control that it is drawn as. */
    const outlined = () =>
      page.evaluate(() => {
        const chain = [document.activeElement!, document.activeElement!.closest('label, .composer')];
        return chain.some((e) => e && getComputedStyle(e).outlineStyle !== 'none');
      });
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Skip to the content');
    await page.keyboard.press('Enter');
    expect(await page.evaluate(() => document.activeElement!.id)).toBe('content');
    // Mode, model, swap, other, instruction: every stop can be seen.
    for (let i = 0; i < 5; i++) {
      await page.keyboard.press('Tab');
      expect(await outlined(), `stop ${i}`).toBe(true);
    }
    await page.keyboard.type('What is an alpaca?');
    await page.keyboard.press('Control+Enter');
    await page.getByText('ended by itself').nth(1).waitFor();
    for (let i = 0; i < 4; i++) await page.keyboard.press('Tab');
    expect(await focused()).toBe('Copy');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await eventually(() => server.asked.length).toBe(3);
    // From the copy button back to the mode, by arrow keys to the chat.
    await page.getByRole('radio', { name: 'Instruct' }).focus();
    await page.keyboard.press('ArrowRight');
    await page.getByRole('textbox', { name: 'Message', exact: true }).waitFor();
  });

  it('reads an answer out in sentences, and two only at their ends', async () => {
    server.reply = () => ({ pieces: ['One two. ', 'Three', ' four. ', 'Five.'], pause: 800 });
    const page = await open();
    const said: string[] = [];
    await page.exposeFunction('heard', (text: string) => said.push(text.trim()));
    await page.evaluate(() => {
      const region = document.querySelector('#app > [aria-live=polite]')!;
      new MutationObserver(() => (window as unknown as { heard(t: string): void }).heard(region.textContent!)).observe(
        region,
        {
          childList: true,
          characterData: true,
          subtree: true,
        },
      );
    });
    await single(page);
    await ask(page, 'Count.');
    await page.getByText('ended by itself').waitFor();
    await eventually(() => said.at(-1)).toMatch(/^SmolLM2-135M-Instruct: .*Five\.$/);
    expect(said[0]).toBe('SmolLM2-135M-Instruct answers.');
    // Whole sentences, each once, in a few goes: how many depends on the time.
    const sentences = said.slice(1).map((text) => text.replace('SmolLM2-135M-Instruct: ', ''));
    expect(sentences.join(' ')).toBe('One two. Three four. Five.');
    expect(sentences.length).toBeGreaterThan(1);
    said.length = 0;
    server.reply = () => ({ pieces: ['Yes.'] });
    await page.getByLabel('Side by side with').selectOption('pirate');
    await ask(page, 'Both?');
    await eventually(() => said.sort()).toEqual(['SmolLM2-135M-Instruct: Yes.', 'pirate: Yes.']);
  });
});
