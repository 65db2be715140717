// Pulling, verifying, listing and removing from outside: a hub on loopback, the built command line, and what both leave behind.
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { listCommand, pruneCommand, removeCommand, verifyCommand } from '../../src/cli/commands/models.ts';
import { pullCommand } from '../../src/cli/commands/pull.ts';
import { type Format, Output } from '../../src/cli/output.ts';
import { runCli, treeOf } from '../helpers/runCli.ts';
import { temporaryFolder } from '../helpers/tinyModel.ts';
import { REPO, SHA, startTestHub, type TestHub } from '../unit/hub/testHub.ts';

const text = (value: string) => new TextEncoder().encode(value);
const FILES = {
  'config.json': text('{"model_type":"llama"}'),
  'tokenizer.json': text('{"model":{}}'),
  'model.safetensors': Uint8Array.from({ length: 6_000_000 }, (_, i) => (i * 7919) >> 3),
  'pytorch_model.bin': text('the same, pickled'),
};
const WANTED = ['config.json', 'model.safetensors', 'tokenizer.json'];

let folder: ReturnType<typeof temporaryFolder>;
let hub: TestHub;
const hubCache = () => join(folder.path, 'home', 'hf', 'hub');
const snapshot = () => join(hubCache(), `models--${REPO.replace('/', '--')}`, 'snapshots', SHA);
const jsonLines = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const cli = (args: string, more: Partial<Parameters<typeof runCli>[1]> = {}) =>
  runCli(args.split(' '), { cwd: folder.path, ...more, env: { HF_ENDPOINT: hub.endpoint, ...more.env } });

/** Runs a command here, where it is quick; @returns what it wrote to stdout. */
async function inProcess(make: (out: () => Output) => Command, format: Format, ...args: string[]): Promise<string> {
  let stdout = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((piece) => {
    stdout += piece;
    return true;
  });
  try {
    await make(() => new Output(format)).parseAsync(args, { from: 'user' });
  } finally {
    write.mockRestore();
  }
  return stdout;
}

beforeAll(async () => {
  hub = await startTestHub(FILES);
});
afterAll(() => hub.close());
beforeEach(() => {
  folder = temporaryFolder();
  for (const key of Object.keys(hub.switches)) delete hub.switches[key as keyof typeof hub.switches];
  hub.requests.length = 0;
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_HOME', join(folder.path, 'home', 'hf'));
  vi.stubEnv('HF_HUB_CACHE', hubCache());
  vi.stubEnv('HUACAYA_CACHE', join(folder.path, 'home', 'huacaya'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  folder.remove();
});

it('plans without writing anything, then does what the plan said, through a mirror where the hub is away', async () => {
  const HF_ENDPOINT = `http://127.0.0.1:1, ${hub.endpoint}/`;
  vi.stubEnv('HF_ENDPOINT', HF_ENDPOINT);
  const dry = await inProcess(pullCommand, 'quiet', `${REPO}@main`, '--dry-run');
  expect(dry).toMatch(new RegExp(`^${REPO}@main, commit ${SHA} at 127\\.0\\.0\\.1:\\d+\nfetch `));
  expect(dry).toMatch(/^- +1 kB {2}pytorch_model\.bin {2}\(the weights are taken as safetensors\)$/m);
  expect(dry).toMatch(/^3 files, 6 MB; to fetch: 6 MB; free on the disk: /m);
  expect(existsSync(join(folder.path, 'home'))).toBe(false);

  const pulled = await cli(`pull ${REPO}`, { env: { HF_ENDPOINT } });
  expect(pulled).toMatchObject({ code: 0, stdout: `${snapshot()}\n` });
  expect(pulled.stderr).toMatch(/127\.0\.0\.1:1 could not be reached .*; asking http/);
  expect(pulled.stderr).toMatch(/: 3 files, 6 MB; 1 file left out/);
  for (const name of WANTED) expect(pulled.stderr).toMatch(new RegExp(`^verified ${name}$`, 'm'));
  expect(Object.keys(treeOf(snapshot())).sort()).toEqual(WANTED);
  expect(pulled.stderr).not.toContain('\r');

  hub.requests.length = 0;
  const again = jsonLines(await inProcess(pullCommand, 'json', REPO, '--offline'));
  expect(again).toEqual([expect.objectContaining({ type: 'done', path: snapshot(), cached: true })]);
  expect(hub.requests).toEqual([]);
});

it('tells programs everything, one JSON object a line', async () => {
  const events = jsonLines(await inProcess(pullCommand, 'json', REPO, '--include', '*.json', '--exclude', 'tok*'));
  expect(events[0]).toMatchObject({ type: 'source', source: 'hub' });
  const { plan } = events.find((event) => event.type === 'plan');
  expect(plan).toMatchObject({ repo: REPO, sha: SHA, kind: 'files', size: 22, toFetch: 22 });
  expect(plan.files).toEqual([expect.objectContaining({ name: 'config.json', size: 22, toFetch: 22 })]);
  expect(plan.skipped).toContainEqual({ name: 'tokenizer.json', size: 12, why: 'matches --exclude' });
  expect(events.filter((event) => event.type === 'total').at(-1)).toMatchObject({ received: 22, total: 22, files: 1 });
  expect(events.at(-1)).toMatchObject({ type: 'done', path: snapshot(), cached: false });
});

it('goes on after Ctrl-C where it stopped, and says how', async () => {
  hub.switches.pace = 2e6;
  const stopped = await cli(`pull ${REPO}`, { interruptWhen: (_, stderr) => /^\d+ % .*3 files$/m.test(stderr) });
  expect(stopped).toMatchObject({ code: 130, stdout: '' });
  expect(stopped.stderr).toMatch(new RegExp(`stopped\\. What has arrived stays .*\n {2}huacaya pull ${REPO}\n$`));
  expect(stopped.stderr).not.toMatch(/^error/m);
  expect(existsSync(snapshot())).toBe(false);
  delete hub.switches.pace;
  const events = jsonLines((await cli(`--format json pull ${REPO}`)).stdout);
  const { plan } = events.find((event) => event.type === 'plan');
  expect(plan.toFetch).toBeLessThan(plan.size - 100_000);
  expect(events.at(-1)).toMatchObject({ type: 'done', cached: false });
});

it('verifies without the hub, repairs file by file, lists, removes', async () => {
  await inProcess(pullCommand, 'quiet', REPO);
  const weights = realpathSync(join(snapshot(), 'model.safetensors'));
  const good = readFileSync(weights);
  writeFileSync(weights, good.subarray(0, 1000));
  const config = realpathSync(join(snapshot(), 'config.json'));
  chmodSync(config, 0o644);
  writeFileSync(config, 'x'.repeat(22));
  hub.requests.length = 0;
  const damaged = await cli(`verify ${REPO}`);
  expect(damaged.code).toBe(1);
  expect(damaged.stdout.trimEnd().split('\n').sort()).toEqual([
    'ok         tokenizer.json',
    'short      model.safetensors  (1000 of 6000000 bytes)',
    'wrong      config.json  (another hash than the published one)',
  ]);
  expect(damaged.stderr).toMatch(
    /^error .*damaged: .*\[DAMAGED\]\n {2}huacaya verify --repair alpaca-lab\/Tiny-Llama\n$/,
  );
  expect(hub.requests).toEqual([]);

  const repaired = jsonLines(await inProcess(verifyCommand, 'json', REPO, '--repair'));
  expect(repaired.at(-1)).toMatchObject({ type: 'done', ok: true, repaired: expect.arrayContaining(['config.json']) });
  expect(readFileSync(join(snapshot(), 'model.safetensors')).equals(good)).toBe(true);
  expect(hub.requests.some(({ path }) => path.includes('tokenizer'))).toBe(false);

  const listed = await inProcess(listCommand, 'quiet');
  expect(listed).toMatch(new RegExp(`^${REPO} +6 MB {2}hub +model +main +\\d{4}-\\d\\d-\\d\\d {2}${snapshot()}\n$`));
  const [removed] = jsonLines(await inProcess(removeCommand, 'json', REPO));
  expect(removed).toMatchObject({ type: 'done', dryRun: false });
  expect(removed.freed).toBeGreaterThan(6_000_000);
  expect(existsSync(snapshot())).toBe(false);
});

it('refuses what cannot be, and leaves nothing', async () => {
  const pull = (...args: string[]) => inProcess(pullCommand, 'quiet', REPO, ...args);
  await expect(pull('--include', '*.pth')).rejects.toMatchObject({ code: 'NO_MATCH', exitCode: 2 });
  await expect(pull('--update', '--offline')).rejects.toMatchObject({ code: 'USAGE' });
  hub.switches.gated = 401;
  await expect(pull()).rejects.toMatchObject({ code: 'HUB_GATED' });
  vi.stubEnv('HF_HUB_OFFLINE', '1');
  await expect(pull()).rejects.toMatchObject({ message: expect.stringContaining('offline was asked for') });
  await expect(pull('--dry-run')).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  await expect(inProcess(verifyCommand, 'quiet', REPO, '--repair')).rejects.toMatchObject({ code: 'OFFLINE' });
  expect(existsSync(snapshot())).toBe(false);
});

it('prunes what was left behind', async () => {
  const part = join(hubCache(), `models--${REPO.replace('/', '--')}`, 'blobs', `${'f'.repeat(64)}.huacaya.incomplete`);
  mkdirSync(dirname(part), { recursive: true });
  writeFileSync(part, 'half of it');
  const run = (...args: string[]) => inProcess(pruneCommand, 'json', ...args).then(jsonLines);
  const removed = { type: 'removed', path: part, size: 10, why: 'part of a download that was not finished' };
  expect(await run('--days', '0', '--dry-run')).toEqual([
    { ...removed, dryRun: true },
    { type: 'done', freed: 10, dryRun: true },
  ]);
  expect(statSync(part).size).toBe(10);
  expect(await run()).toEqual([{ type: 'done', freed: 0, dryRun: false }]);
  expect(await run('--days', '0')).toEqual([
    { ...removed, dryRun: false },
    { type: 'done', freed: 10, dryRun: false },
  ]);
  expect(existsSync(part)).toBe(false);
  await expect(run('--days', 'soon')).rejects.toMatchObject({ code: 'USAGE' });
});
