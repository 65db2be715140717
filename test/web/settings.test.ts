// The decoding settings: what they come to is said, and what has no effect cannot be moved and is not sent.
import { expect, it } from 'vitest';
import { info } from './fakeServer.ts';
import { ask, describePage, eventually, phone, single } from './scene.ts';

describePage('settings', ({ server, open }) => {
  it('say what they come to, and switch off what does nothing', async () => {
    const page = await open();
    const says = page.getByRole('region', { name: 'What this does' });
    const slider = (name: string) => page.getByRole('slider', { name, exact: true });
    expect(await says.textContent()).toContain(
      'Draws each token at temperature 0.7 from those among the 40 likeliest and in the top 90% of the probability. A new seed each time.',
    );
    await slider('Temperature').fill('0');
    expect(await says.textContent()).toBe(
      'GreedyTemperature 0: always the likeliest token. The same question gives the same answer. ' +
        'Top-p, Top-k, Min-p, and Seed: no effect.',
    );
    for (const name of ['Top-p', 'Top-k', 'Min-p']) expect(await slider(name).isDisabled(), name).toBe(true);
    expect(await page.getByRole('textbox', { name: 'Seed' }).isDisabled()).toBe(true);
    expect(await slider('Repetition penalty').isDisabled()).toBe(false);
    await slider('Repetition penalty').fill('1.15');
    expect(await says.textContent()).toContain('Penalties: repetition 1.15.');

    await single(page);
    await ask(page, 'Greedy, please.');
    await page.getByText('ended by itself').waitFor();
    const { body } = server.asked[0]!;
    expect(body).toMatchObject({ temperature: 0, repetition_penalty: 1.15 });
    for (const name of ['top_p', 'top_k', 'min_p', 'seed', 'presence_penalty', 'stop']) {
      expect(body, name).not.toHaveProperty(name);
    }
    expect(await page.getByRole('button', { name: 'Keep seed' }).count()).toBe(0);

    await page.getByRole('radio', { name: 'Creative' }).check();
    expect(await says.textContent()).toContain('at least 5% as likely as the best');
    await slider('Top-k').fill('1');
    expect(await says.textContent()).toContain('Top-k 1 leaves one token');
    expect(await slider('Top-k').isDisabled()).toBe(false);
    expect(await slider('Temperature').isDisabled()).toBe(true);
  });

  it('are all sent, kept for the next visit, and reset', async () => {
    const page = await open();
    await single(page);
    const set = (name: string, value: string) => page.getByLabel(`${name}, as a number`).fill(value);
    await set('Temperature', '1.2');
    await set('Top-p', '0.8');
    await set('Top-k', '12');
    await set('Min-p', '0.1');
    await set('Repetition penalty', '1.3');
    await set('Presence penalty', '0.4');
    await set('Frequency penalty', '-0.2');
    await set('Max tokens', '77');
    await page.getByLabel('Seed', { exact: true }).fill('4711');
    const stop = page.getByLabel('Stop strings');
    await stop.pressSequentially('###\n\\nUser:\n');
    // What is typed half or out of range does not count.
    await page.getByLabel('Top-p, as a number').fill('7');
    await page.getByLabel('Top-k, as a number').fill('');
    await ask(page, 'All of them.');
    await page.getByText('ended by itself').waitFor();
    const options = {
      temperature: 1.2,
      top_p: 0.8,
      top_k: 12,
      min_p: 0.1,
      repetition_penalty: 1.3,
      presence_penalty: 0.4,
      frequency_penalty: -0.2,
      max_tokens: 77,
      seed: 4711,
      stop: ['###', '\nUser:'],
    };
    expect(server.asked[0]!.body).toMatchObject(options);
    expect(await page.getByLabel('Top-p, as a number').inputValue()).toBe('0.8');

    await page.reload();
    await ask(page, 'And again.');
    await page.getByText('ended by itself').waitFor();
    expect(server.asked[1]!.body).toMatchObject(options);
    expect(await stop.inputValue()).toBe('###\n\\nUser:');
    await page.getByRole('button', { name: 'Reset all' }).click();
    expect(await stop.inputValue()).toBe('');
    expect(await page.getByRole('slider', { name: 'Temperature' }).inputValue()).toBe('0.7');
  });

  it('never ask for a longer answer than the server gives', async () => {
    server.info = { ...info, max_new_tokens: 100 };
    const page = await open();
    await single(page);
    const tokens = page.getByRole('slider', { name: 'Max tokens' });
    expect([await tokens.inputValue(), await tokens.getAttribute('max')]).toEqual(['100', '100']);
    await ask(page, 'Briefly.');
    await eventually(() => server.asked[0]?.body.max_tokens).toBe(100);
  });

  it('open as a sheet on a phone, behind a button that says the mode', async () => {
    const page = await open({ viewport: phone });
    await page.getByRole('button', { name: 'Decoding settings: Sampling · 0.7' }).click();
    const sheet = page.getByRole('dialog', { name: 'Decoding' });
    await sheet.getByRole('radio', { name: 'Greedy' }).check();
    await page.keyboard.press('Escape');
    await eventually(() => sheet.count()).toBe(0);
    const opener = page.getByRole('button', { name: 'Decoding settings: Greedy' });
    await eventually(() => opener.evaluate((button) => button === document.activeElement)).toBe(true);
  });
});
