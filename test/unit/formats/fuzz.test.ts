// 5,000 damaged files for each parser, the same ones every time: only expected errors may come out, soon, and cheaply.
// bench/fuzz.mjs runs a million of them.
import { expect, it } from 'vitest';
import { createTargets, mutate, runCases, writeZip } from '../../../bench/fuzzFiles.mjs';
import * as base from '../../../src/base/index.ts';
import * as formats from '../../../src/formats/index.ts';
import { fixture } from './helpers.ts';

const targets = await createTargets({ ...base, ...formats }, fixture);
const options = {
  createRng: base.createRng,
  seed: 20240607,
  isExpected: (error: unknown) => error instanceof base.HuacayaError,
};

it.each([
  ['safetensors', 5000],
  ['gguf', 5000],
  ['torch', 5000],
  ['sentencepiece', 5000],
  ['zip', 2000],
] as const)('%s survives %i damages', async (name, count) => {
  const refused = await runCases(name, targets[name], { ...options, count });
  // Most damage is noticed; some hits values that may be anything.
  expect(refused).toBeGreaterThan(count * 0.4);
  expect(refused).toBeLessThan(count);
});

it('notices what it is there to notice', async () => {
  const make = () => new Uint8Array(3);
  const run = (open: () => Promise<unknown>) => runCases('x', { make, open }, { ...options, count: 1 });
  await expect(run(async () => JSON.parse('{}').a.b)).rejects.toThrow(
    /x: case 0 of seed 20240607 \(3 bytes\): TypeError/,
  );
  await expect(run(async () => new Uint8Array(2 ** 27))).rejects.toThrow(/bytes of buffers/);
  expect(await run(() => Promise.reject(base.usageError('no')))).toBe(1);
});

it('makes the same files from the same seed, and zips that are read', async () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
  const made = () => Array.from({ length: 50 }, (_, i) => mutate(bytes, base.createRng(3).fork(String(i)))).join(';');
  expect(made()).toBe(made());
  const zip = writeZip([['a/b', bytes]]);
  expect([...(await formats.readZipDirectory(base.memorySource('x', zip))).keys()]).toEqual(['a/b']);
});
