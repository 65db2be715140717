// When things go wrong: keys, full queues, refusals, lost connections.
import { expect, it } from 'vitest';
import { FakeServer } from './fakeServer.ts';
import { ask, describePage, eventually, single } from './scene.ts';
import { violations } from './violations.ts';

describePage('trouble', ({ server, open }) => {
  it('asks for the key, once for all requests, and keeps it in the tab', async () => {
    server.key = 'sesame';
    const page = await open({ expectErrors: /401/ });
    const dialog = page.getByRole('dialog', { name: 'This server needs a key' });
    expect(await violations(page)).toEqual([]);
    await dialog.getByLabel('Key').fill('wrong');
    await page.keyboard.press('Enter');
    await dialog.getByText('The server refused this key.').waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Enter the key' }).click();
    await dialog.getByLabel('Key').fill('sesame');
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await eventually(() => dialog.count()).toBe(0);
    await ask(page, 'Open.');
    await page.getByText('ended by itself').nth(1).waitFor();
    await page.reload();
    await ask(page, 'Still open?');
    await page.getByText('ended by itself').nth(1).waitFor();
    expect(await page.evaluate(() => [JSON.stringify(localStorage), sessionStorage.length])).toEqual([
      expect.not.stringContaining('sesame'),
      1,
    ]);

    // The key changes while the page is open: both answers wait for one dialog.
    server.key = 'changed';
    await ask(page, 'And now?');
    await dialog.getByLabel('Key').fill('changed');
    await page.keyboard.press('Enter');
    await page.getByText('ended by itself').nth(1).waitFor();
    expect(await dialog.count()).toBe(0);
  });

  it('waits for a full queue and tries again by itself, at once when asked, not when stopped', async () => {
    let refused = 0;
    server.reply = () =>
      ++refused < 3
        ? { status: 429, message: 'queue full', headers: { 'retry-after': refused === 1 ? '1' : '60' } }
        : { pieces: ['At last.'] };
    const page = await open({ expectErrors: /429/ });
    await single(page);
    await ask(page, 'Wait.');
    // The first time it waits the second that the server asks for, the second time a minute.
    await page.getByText(/Trying again in (60|59) s/).waitFor();
    await page.getByRole('button', { name: 'Try now' }).click();
    await page.getByText('At last.', { exact: true }).waitFor();
    expect(server.asked.length).toBe(3);

    refused = 1;
    await page.getByRole('button', { name: 'Regenerate' }).click();
    await page.getByText(/Trying again in (60|59) s/).waitFor();
    await page.keyboard.press('Escape');
    await page.getByText('You stopped it.').waitFor();
    expect(server.asked.length).toBe(4);
  });

  it("shows the server's refusals and failures where the answer would be", async () => {
    const replies = [
      {
        status: 400,
        message: 'prompt and answer need 3000 tokens; the model has 2048',
        code: 'context_length_exceeded',
      },
      { pieces: ['It began'], ending: 'error' as const },
      { pieces: ['It broke'], ending: 'cut' as const },
      { pieces: ['Fine.'] },
    ];
    server.reply = () => replies[server.asked.length - 1]!;
    const page = await open({ expectErrors: /400|ERR_/ });
    await page.getByRole('radio', { name: 'Chat' }).check();
    await single(page);
    await page.getByRole('textbox', { name: 'Message', exact: true }).fill('Long.');
    await page.keyboard.press('Enter');
    const problem = page.locator('.problem-text');
    await problem.waitFor();
    expect(await problem.textContent()).toBe(
      'prompt and answer need 3000 tokens; the model has 2048Shorten the text, start a new chat, or lower max tokens.',
    );
    const again = page.getByRole('button', { name: 'Try again' });
    await again.click();
    await page.getByText('the engine stopped', { exact: true }).waitFor();
    expect(await page.getByText('It began', { exact: true }).count()).toBe(1);
    await again.click();
    await page.getByText('The connection broke.', { exact: true }).waitFor();
    // What had come stays readable.
    expect(await page.getByText('It broke', { exact: true }).count()).toBe(1);
    await again.click();
    await page.getByText('Fine.', { exact: true }).waitFor();
    expect(await problem.count()).toBe(0);
  });

  it('notices that the server is gone, and that it is back', async () => {
    const own = await new FakeServer().start();
    const port = Number(new URL(own.url).port);
    const page = await open({ expectErrors: /ERR_/, server: own });
    await single(page);
    await own.stop();
    await ask(page, 'Anyone there?');
    await page.getByRole('article').getByText('The connection broke.').waitFor();
    await page.getByText('The server does not answer. Trying again…').waitFor();
    const back = await new FakeServer().start(port);
    await eventually(() => page.getByText('The server does not answer').count()).toBe(0);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('ended by itself').waitFor();
    await page.context().close();
    await back.stop();
  });
});
