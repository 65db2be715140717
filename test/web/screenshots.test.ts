// The pictures of docs/: UPDATE_SCREENSHOTS=1 npx vitest run test/web/screenshots.test.ts writes them anew.
// Without the variable they are only taken, so that a test run leaves the tree as it was.
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import type { Reply } from './fakeServer.ts';
import { describePage, phone } from './scene.ts';

const folder = fileURLToPath(new URL('../../docs/img/', import.meta.url));
const update = process.env.UPDATE_SCREENSHOTS === '1';

const shoot = async (page: Page, name: string) => {
  await page.evaluate(() => scrollTo(0, 0));
  const bytes = await page.screenshot(update ? { path: `${folder}${name}.png` } : {});
  expect(bytes.length).toBeGreaterThan(10_000);
};

const decoded = {
  mode: 'sampling, temperature 0.7, top_p 0.9, top_k 40, seed 1893',
  promptTokens: 46,
  cachedTokens: 32,
  answerTokens: 87,
};
const greedy = { mode: 'greedy', promptTokens: 38, cachedTokens: 30, answerTokens: 52 };

const english: Record<string, Reply> = {
  'SmolLM2-135M-Instruct': {
    ...decoded,
    pieces: [
      'Eating enough fibre is essential for a healthy **digestive system**:\n\n',
      '1. It keeps the bowels regular.\n2. It feeds the good bacteria of the gut.\n3. It slows the rise of blood sugar.\n\n',
      'Adults should aim for about 30 g a day:\n\n| Food | Fibre |\n| --- | ---: |\n| Lentils, 100 g | 8 g |\n| Oats, 100 g | 10 g |',
    ],
  },
  'plain-answers': {
    ...decoded,
    answerTokens: 28,
    pieces: [
      'Adequate fibre helps keep your body healthy, and it helps prevent constipation.\n\nIn short: good for your health 🦙',
    ],
  },
};

const chinese: Reply = {
  ...decoded,
  pieces: ['膳食纤维有助于**肠道健康**：\n\n- 促进肠道蠕动，预防便秘\n- 减缓血糖上升\n- 增加饱腹感'],
};

const code: Record<string, Reply> = {
  'SmolLM2-135M-Instruct': {
    ...greedy,
    pieces: [
      'Here is a loop that counts to three:\n\n```js\nfor (let i = 1; i <= 3; i++) {\n  console.log(i);\n}\n```\n\nIt prints each number on a line of its own.',
    ],
  },
  pirate: {
    ...greedy,
    pieces: [
      'Arr, here be yer loop:\n\n```js\nfor (const coin of chest) {\n  count(coin);\n}\n```\n\nRound and round she goes! ☠️',
    ],
  },
};

describePage('screenshots', ({ server, open }) => {
  it('side by side, light', async () => {
    server.reply = ({ model }) => english[model]!;
    const page = await open({ viewport: { width: 1280, height: 860 } });
    await page.getByLabel('Instruction').fill('Why should adults eat enough fibre?');
    await page.keyboard.press('Control+Enter');
    await page.getByText('ended by itself').nth(1).waitFor();
    await shoot(page, 'try');
  });

  it('chat, dark', async () => {
    server.reply = ({ model }) => code[model]!;
    const page = await open({ viewport: { width: 1280, height: 860 }, colorScheme: 'dark' });
    await page.getByLabel('Side by side with').selectOption('pirate');
    await page.getByRole('radio', { name: 'Greedy' }).check();
    await page.getByRole('radio', { name: 'Chat' }).check();
    await page.getByRole('textbox', { name: 'Message', exact: true }).fill('Show me a loop in JavaScript.');
    await page.keyboard.press('Enter');
    await page.getByText('ended by itself').nth(1).waitFor();
    await shoot(page, 'chat-dark');
  });

  it('phone, Chinese', async () => {
    server.reply = () => chinese;
    const page = await open({ viewport: phone, deviceScaleFactor: 2, locale: 'zh-CN' });
    await page.getByLabel('并排对比').selectOption({ label: '不对比' });
    await page.getByRole('button', { name: /为什么成年人/ }).click();
    await page.getByRole('button', { name: '发送' }).click();
    await page.locator('.facts').waitFor();
    await shoot(page, 'phone-zh');
  });
});
