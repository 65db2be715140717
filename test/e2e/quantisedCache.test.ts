// The quantised cache from outside: the second start says that it used it, and trains the same adapter; what it takes is
// listed and can be deleted; nothing that is wrong with it stops a run.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectOneError, runCli } from '../helpers/runCli.ts';
import { temporaryFolder, tinyModel, writeTinyModel } from '../helpers/tinyModel.ts';

const folder = temporaryFolder();
const cwd = folder.path;
const cli = (args: string) => runCli(args.split(' '), { cwd });
const cacheFolder = join(cwd, 'home', 'huacaya', 'quantised');
const kept = () => readdirSync(cacheFolder).sort();
const size = () => kept().reduce((n, name) => n + statSync(join(cacheFolder, name)).size, 0);

const generate = 'generate --base-model tiny --precision int8 --max-new-tokens 4 --threads 1';
let runs = 0;

/** One step on the tiny model. */
async function train(flags = '', env: Record<string, string> = {}) {
  const run = `run${runs++}`;
  const settings = `--base-model tiny --data-path rows.jsonl --max-steps 1 --warmup-steps 0 --precision int8 --threads 1`;
  const args = `train ${settings} --output-dir ${run} ${flags}`.trim().split(' ');
  const result = await runCli(args, { cwd, env });
  expect(result).toMatchObject({ code: 0, stdout: `${run}/adapter\n` });
  return { ...result, adapter: readFileSync(join(cwd, run, 'adapter', 'adapter_model.safetensors')) };
}

const saved = /^saved \d+ kB of quantised weights for the next start: .*tiny-int8-train-[0-9a-f]{16}\.weights$/m;
const used = /^loaded tiny in int8 from the quantised cache: /m;
const converted = /^loaded tiny in int8: /m;

beforeAll(() => {
  writeTinyModel(join(cwd, 'tiny'), tinyModel());
  const rows = Array.from({ length: 6 }, (_, i) => ({ instruction: `Write ${i}.`, output: `It is ${i}.` }));
  writeFileSync(join(cwd, 'rows.jsonl'), rows.map((r) => `${JSON.stringify(r)}\n`).join(''));
});
afterAll(() => folder.remove());

describe('the quantised cache', () => {
  let first: Awaited<ReturnType<typeof train>>;

  it('is not made when it is not wanted', async () => {
    expect((await train('--no-quantised-cache')).stderr).toMatch(converted);
    const generated = await cli(`${generate} --no-quantised-cache Hello`);
    expect(generated.code).toBe(0);
    expect((await train('', { HUACAYA_QUANTISED_CACHE: '0' })).stderr).toMatch(converted);
    expect(existsSync(cacheFolder)).toBe(false);
  });

  it('is made by the first start and used by the second, for the same adapter', async () => {
    first = await train();
    expect(first.stderr).toMatch(saved);
    expect(first.stderr).toMatch(converted);
    const second = await train();
    expect(second.stderr).toMatch(used);
    expect(second.stderr).not.toMatch(/saved|warning/);
    expect(second.adapter.equals(first.adapter)).toBe(true);
    expect(kept()).toHaveLength(1);
  });

  it('serves generate too, which keeps weights of its own', async () => {
    const one = await cli(`${generate} Hello`);
    const two = await cli(`${generate} Hello`);
    expect(two).toMatchObject({ code: 0, stdout: one.stdout });
    expect(one.stderr).toMatch(/^saved .*tiny-decode8-/m);
    expect(two.stderr).toMatch(used);
    expect(kept()).toHaveLength(2);
  });

  it('holds nothing in fp32, which is in the file of the model', async () => {
    expect((await train('--precision fp32')).stderr).toMatch(/^loaded tiny in fp32: /m);
    expect(kept()).toHaveLength(2);
  });

  it('that is damaged is one warning, and made again', async () => {
    const path = join(cacheFolder, kept().find((name) => name.includes('train'))!);
    const bytes = readFileSync(path);
    bytes[bytes.length - 10]! ^= 1;
    writeFileSync(path, bytes);
    const result = await train();
    expect(result.stderr.match(/^warning .*$/gm)).toEqual([
      expect.stringMatching(
        /^warning quantised cache: .*-train-.* have the checksum .* the weights are converted again$/,
      ),
    ]);
    expect(result.stderr).toMatch(saved);
    expect(result.adapter.equals(first.adapter)).toBe(true);
    expect((await train()).stderr).toMatch(used);
  });

  it('is listed with what it takes', async () => {
    const { stdout } = await cli('list');
    expect(stdout).toMatch(/^\(quantised weights\) +\d+ kB {2}made {2}.*quantised$/m);
    const json = (await cli('--format json list')).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(json).toEqual([{ name: '(quantised weights)', source: 'quantised', path: cacheFolder, size: size() }]);
  });

  it('is deleted by rm --quantised', async () => {
    const result = await cli('rm --quantised');
    expect(result).toMatchObject({ code: 0, stdout: '' });
    expect(result.stderr.match(/^removed .*\.weights$/gm)).toHaveLength(2);
    expect(kept()).toEqual([]);
    expect((await cli('list')).stdout).toBe('');
    expectOneError(await cli('rm'), 2, /rm needs the name of a model, or --quantised/);
  });

  it('that cannot be written is one warning', async () => {
    rmSync(cacheFolder, { recursive: true });
    writeFileSync(cacheFolder, '');
    const result = await train();
    expect(result.stderr.match(/^warning .*$/gm)).toEqual([
      expect.stringMatching(/^warning quantised cache: .*quantised/),
    ]);
    expect(result.adapter.equals(first.adapter)).toBe(true);
  });
});
