// The form: what is asked, what streams back, and what can be done with an answer.
import { expect, it } from 'vitest';
import { info } from './fakeServer.ts';
import { ask, describePage, eventually, single } from './scene.ts';

const words = (n: number) => Array.from({ length: n }, (_, i) => `word${i} `);

describePage('instruct', ({ server, open }) => {
  it('asks base and adapter at the same time, and shows both as they grow', async () => {
    server.reply = ({ model }) => ({ pieces: words(40).map((w) => `${model} ${w}`), pause: 15 });
    const page = await open();
    await ask(page, '  Name a colour.  ');
    const cards = page.getByRole('article');
    await cards.nth(0).getByText('word3').waitFor();
    await cards.nth(1).getByText('plain-answers word3').waitFor();
    expect(await cards.nth(0).getAttribute('aria-busy')).toBe('true');
    expect(await page.getByText('word39').count()).toBe(0);
    await page.getByText('ended by itself').nth(1).waitFor();

    const [first, second] = server.asked;
    expect(server.asked.map(({ path }) => path)).toEqual(['/v1/huacaya/instruct', '/v1/huacaya/instruct']);
    expect(first!.body).toMatchObject({
      model: info.base,
      instruction: 'Name a colour.',
      stream: true,
      temperature: 0.7,
      top_p: 0.9,
      top_k: 40,
      max_tokens: 256,
    });
    expect(first!.body).not.toHaveProperty('input');
    expect(first!.body).not.toHaveProperty('min_p');
    expect(second!.body.model).toBe('plain-answers');
    // The same seed on both sides: what differs is the model.
    expect(first!.body.seed).toBeTypeOf('number');
    expect(second!.body.seed).toBe(first!.body.seed);
  });

  it('shows the numbers that the server gives', async () => {
    server.reply = () => ({
      pieces: words(3),
      finish: 'length',
      promptTokens: 1234,
      cachedTokens: 1200,
      mode: 'sampling, temperature 0.7, seed 5',
    });
    const page = await open();
    await single(page);
    await page.getByLabel('Input').fill('a text\n');
    await ask(page, 'Sum it up.');
    const facts = page.getByRole('list', { name: 'Facts about this answer' });
    await facts.waitFor();
    expect(await facts.getByRole('listitem').allTextContents()).toEqual([
      '98 tok/s',
      'answer 3',
      'prompt 1,234 (1,200 cached)',
      'cut at max tokens',
      'Decoded by: Sampling, temperature 0.7, seed 5',
    ]);
    expect(server.asked[0]!.body.input).toBe('a text');
  });

  it('stops with the button, with Escape, and one of two alone; the server is told', async () => {
    server.reply = () => ({ pieces: words(400), pause: 15 });
    const page = await open();
    await single(page);
    await ask(page, 'Go on.');
    await page.getByText('word2').waitFor();
    await page.locator('form').getByRole('button', { name: 'Stop' }).click();
    await page.getByText('You stopped it.').waitFor();
    expect(await page.getByText('word2').count()).toBe(1);
    await eventually(() => server.asked[0]!.aborted).toBe(true);

    await page.getByLabel('Instruction').press('Control+Enter');
    await page.getByText('word1').waitFor();
    await page.keyboard.press('Escape');
    await eventually(() => server.asked[1]!.aborted).toBe(true);

    await page.getByLabel('Side by side with').selectOption('pirate');
    await page.getByLabel('Instruction').press('Control+Enter');
    const [left, right] = [page.getByRole('article').nth(0), page.getByRole('article').nth(1)];
    await right.getByText('word1').waitFor();
    await right.getByRole('button', { name: 'Stop' }).click();
    await eventually(() => server.asked[3]!.aborted).toBe(true);
    expect(server.asked[2]!.aborted).toBe(false);
    expect(await left.getAttribute('aria-busy')).toBe('true');
    await page.keyboard.press('Escape');
    await eventually(() => server.asked[2]!.aborted).toBe(true);
  });

  it('regenerates with a new seed, and keeps one that is liked', async () => {
    const page = await open();
    await single(page);
    await ask(page, 'Draw.');
    await page.getByRole('button', { name: 'Regenerate' }).click();
    await eventually(() => server.asked.length).toBe(2);
    const seeds = () => server.asked.map(({ body }) => body.seed);
    expect(seeds()[0]).not.toBe(seeds()[1]);
    const keep = page.getByRole('button', { name: 'Keep seed' });
    await keep.click();
    expect(await page.getByLabel('Seed', { exact: true }).inputValue()).toBe(String(seeds()[1]));
    await page.getByRole('button', { name: 'Regenerate' }).click();
    await eventually(() => server.asked.length).toBe(3);
    expect(seeds()[2]).toBe(seeds()[1]);
    await keep.click();
    expect(await page.getByLabel('Seed', { exact: true }).inputValue()).toBe('');
  });

  it('copies the answer as it was written, and shows it so', async () => {
    server.reply = () => ({ pieces: ['**bold** <b>', '\n- x'] });
    const page = await open({ permissions: ['clipboard-read', 'clipboard-write'] });
    await single(page);
    await ask(page, 'Format.');
    const card = page.getByRole('article');
    await card.locator('strong').getByText('bold').waitFor();
    await card.getByRole('button', { name: 'Copy' }).click();
    await card.getByRole('button', { name: 'Copied' }).waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('**bold** <b>\n- x');
    await card.getByRole('button', { name: 'Raw' }).click();
    expect(await card.locator('.raw').textContent()).toBe('**bold** <b>\n- x');
    expect(await card.locator('strong').count()).toBe(0);
  });

  it('starts from an example, asks for an instruction, and clears', async () => {
    const page = await open();
    const instruction = page.getByLabel('Instruction');
    await page.getByRole('button', { name: 'Send' }).click();
    expect(server.asked).toEqual([]);
    expect(await instruction.getAttribute('aria-invalid')).toBe('true');
    await page.getByRole('button', { name: /Translate into French/ }).click();
    expect(await instruction.inputValue()).toBe('Translate into French.');
    expect(await page.getByLabel('Input').inputValue()).toBe('Good night, sleep well!');
    expect(await instruction.getAttribute('aria-invalid')).toBeNull();
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByText('ended by itself').nth(1).waitFor();
    await page.getByRole('button', { name: 'Clear' }).click();
    expect(await instruction.inputValue()).toBe('');
    await page.getByText('What will you ask?').waitFor();
  });

  it('picks and swaps models, remembers them, and follows what is served', async () => {
    const page = await open();
    const model = page.getByRole('combobox', { name: 'Model', exact: true });
    const other = page.getByLabel('Side by side with');
    expect([await model.inputValue(), await other.inputValue()]).toEqual([info.base, 'plain-answers']);
    await model.selectOption('pirate');
    await page.getByRole('button', { name: 'Swap the two models' }).click();
    expect([await model.inputValue(), await other.inputValue()]).toEqual(['plain-answers', 'pirate']);
    // Picking what stands on the other side swaps as well: nothing is compared with itself.
    await model.selectOption('pirate');
    expect([await model.inputValue(), await other.inputValue()]).toEqual(['pirate', 'plain-answers']);
    await page.reload();
    await eventually(() => model.inputValue()).toBe('pirate');
    expect(await other.inputValue()).toBe('plain-answers');

    server.info = { ...info, models: info.models.slice(0, 1) };
    await page.evaluate(() => dispatchEvent(new Event('focus')));
    await eventually(() => model.inputValue()).toBe(info.base);
    expect(await other.count()).toBe(0);
  });

  it('says when an answer is empty', async () => {
    server.reply = () => ({ pieces: [] });
    const page = await open();
    await single(page);
    await ask(page, 'Say nothing.');
    await page.getByText('The answer is empty.').waitFor();
  });
});
