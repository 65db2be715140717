// kill -9 at any moment: nothing that was answered is asked again, nothing is paid twice, and the answers are the same.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRng } from '../../../../src/base/index.ts';
import { bundle } from '../../../helpers/bundle.ts';
import { ask, freshFolder, readLines, server, setUp, until } from './helpers.ts';

const REQUESTS = 60;
const KILLS = 5;
let script: Awaited<ReturnType<typeof bundle>>;
beforeAll(async () => {
  script = await bundle(fileURLToPath(new URL('./killedChild.ts', import.meta.url)));
});
afterAll(() => script.remove());

const ended = (child: ChildProcess) => new Promise<number | null>((resolve) => child.on('close', resolve));

it('kills at random', async () => {
  const one = await server({ seed: 5, faults: 0.15, hangMs: 10, latencyMs: 4 });
  const folder = await freshFolder();
  const rng = createRng(11);
  const start = () => {
    const child = spawn(process.execPath, [script.path, one.url, folder, String(REQUESTS)], { stdio: 'inherit' });
    return { child, end: ended(child) };
  };
  let answered = new Set<unknown>();
  for (let kill = 0; kill <= KILLS; kill++) {
    const before = one.asked.length;
    const { child, end } = start();
    if (kill === KILLS) expect(await end).toBe(0);
    else {
      const enough = before + 3 + rng.below(12);
      await until(() => one.asked.length >= enough);
      child.kill('SIGKILL');
      await end;
    }
    expect(one.asked.slice(before).filter(({ id }) => answered.has(id))).toEqual([]);
    // A line that is not whole was never acknowledged; it may be asked for again.
    const lines = (await readFile(join(folder, 'journal.jsonl'), 'utf8')).split('\n').slice(0, -1);
    answered = new Set(lines.map((line) => JSON.parse(line).answered));
  }
  // No answer was worked out twice, and each request had one key through all its lives.
  expect([...one.paid().values()]).toEqual(Array(REQUESTS).fill(1));
  expect(new Set(one.asked.map(({ key }) => key)).size).toBe(REQUESTS);

  const calm = await server({ seed: 5 });
  const { teacher } = await setUp([{ url: calm.url }]);
  const replies = await Promise.all(Array.from({ length: REQUESTS }, (_, i) => teacher.ask(ask(`r/${i}`))));
  expect(JSON.parse(await readFile(join(folder, 'texts.json'), 'utf8'))).toEqual(replies.map(({ text }) => text));
  const { promptTokens, completionTokens } = teacher.spent();
  const again = await setUp([{ url: calm.url }], { folder });
  expect(again.teacher.spent()).toMatchObject({ requests: REQUESTS, promptTokens, completionTokens });
  const answers = (await readLines(join(folder, 'journal.jsonl'))).flatMap(({ answered }) => answered ?? []);
  expect(answers).toHaveLength(REQUESTS);
});
