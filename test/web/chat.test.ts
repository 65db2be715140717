// Conversations: history for each column, keys, and models without a memory.
import { expect, it } from 'vitest';
import { describePage, eventually, single } from './scene.ts';

describePage('chat', ({ server, open }) => {
  it('sends the history, a system message, and nothing of turns that failed', async () => {
    let turn = 0;
    server.reply = () => (++turn === 2 ? { status: 400, message: 'too much' } : { pieces: [`answer ${turn}`] });
    const page = await open({ expectErrors: /400/ });
    await single(page);
    await page.getByRole('radio', { name: 'Chat' }).check();
    await page.getByText('System message').click();
    await page.getByRole('textbox', { name: 'System message' }).fill('Be brief.');
    const message = page.getByRole('textbox', { name: 'Message', exact: true });
    for (const [i, text] of ['one', 'two', 'three'].entries()) {
      await message.fill(text);
      await message.press('Enter');
      await page.getByRole('article').nth(i).waitFor();
      await eventually(() => page.locator('[aria-busy=true]').count()).toBe(0);
    }
    expect(server.asked[2]!.path).toBe('/v1/chat/completions');
    expect(server.asked[2]!.body).toMatchObject({ stream_options: { include_usage: true } });
    expect(server.asked[2]!.body.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'answer 1' },
      { role: 'user', content: 'three' },
    ]);
    // Only the last turn can be asked again.
    expect(await page.getByRole('button', { name: 'Regenerate' }).count()).toBe(1);
    await page.getByRole('button', { name: 'New chat' }).click();
    await page.getByText('Say something').waitFor();
    await eventually(() => message.evaluate((field) => field === document.activeElement)).toBe(true);
  });

  it('keeps a history of its own for each of two models, and says who forgets', async () => {
    server.reply = ({ model }) => ({ pieces: [`I am ${model}.`] });
    const page = await open();
    await page.getByRole('radio', { name: 'Chat' }).check();
    await page.getByText('plain-answers answers each message by itself').waitFor();
    await page.getByLabel('Side by side with').selectOption('pirate');
    expect(await page.getByText('answers each message by itself').count()).toBe(0);
    const message = page.getByRole('textbox', { name: 'Message', exact: true });
    for (const text of ['who?', 'sure?']) {
      await message.fill(text);
      await message.press('Enter');
      await eventually(() => page.getByText('ended by itself').count()).toBe(text === 'who?' ? 2 : 4);
    }
    const saidBefore = server.asked.slice(2).map(({ body }) => body.messages![1]!.content);
    expect(saidBefore.sort()).toEqual(['I am SmolLM2-135M-Instruct.', 'I am pirate.']);
  });

  it('Enter sends but not with Shift, and not while an input method composes', async () => {
    const page = await open();
    await single(page);
    await page.getByRole('radio', { name: 'Chat' }).check();
    const message = page.getByRole('textbox', { name: 'Message', exact: true });
    await message.fill('one');
    await message.press('Shift+Enter');
    await message.pressSequentially('two');
    await message.evaluate((field) => {
      const init = { key: 'Enter', bubbles: true, cancelable: true };
      field.dispatchEvent(new KeyboardEvent('keydown', { ...init, isComposing: true }));
      field.dispatchEvent(new KeyboardEvent('keydown', { ...init, keyCode: 229 }));
    });
    expect(server.asked).toEqual([]);
    await message.press('Control+Enter');
    await eventually(() => server.asked.length).toBe(1);
    expect(server.asked[0]!.body.messages).toEqual([{ role: 'user', content: 'one\ntwo' }]);
    expect(await message.inputValue()).toBe('');
  });

  it('follows the answer down, and leaves a reader who scrolled up alone', async () => {
    server.reply = () => ({ pieces: Array.from({ length: 150 }, (_, i) => `line ${i}\n\n`), pause: 8 });
    const page = await open();
    await single(page);
    await page.getByRole('radio', { name: 'Chat' }).check();
    await page.getByRole('textbox', { name: 'Message', exact: true }).fill('go');
    await page.keyboard.press('Enter');
    const fromEnd = () => page.evaluate(() => document.documentElement.scrollHeight - innerHeight - scrollY);
    await page.getByText('line 40', { exact: true }).waitFor();
    // The page follows a frame later than the text comes.
    await expect.poll(fromEnd).toBeLessThan(200);
    await page.evaluate(() => scrollTo(0, 0));
    await page.getByText('line 80', { exact: true }).waitFor();
    expect(await page.evaluate(() => scrollY)).toBe(0);
    await page.keyboard.press('Escape');
  });

  it('keeps what is being written while the form is looked at', async () => {
    const page = await open();
    await page.getByRole('radio', { name: 'Chat' }).check();
    await page.getByRole('button', { name: 'Plan a quiet Sunday for me.' }).click();
    await page.getByRole('radio', { name: 'Instruct' }).check();
    await page.getByLabel('Instruction').waitFor();
    await page.getByRole('radio', { name: 'Chat' }).check();
    const message = page.getByRole('textbox', { name: 'Message', exact: true });
    expect(await message.inputValue()).toBe('Plan a quiet Sunday for me.');
  });
});
