// Processes that are killed in the middle of a download, and several that want the same files. bench/hubKills.mjs is the long version.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlobPart } from '../../../src/hub/blobPart.ts';
import { ChunkTable } from '../../../src/hub/chunkTable.ts';
import { ChunkWriter } from '../../../src/hub/chunkWriter.ts';
import { missingBytes } from '../../../src/hub/downloadBlobs.ts';
import { gitSha1, REPO, SHA, sha256, startTestHub, type TestHub } from './testHub.ts';

const MIB = 1 << 20;
const weights = new Uint8Array(18 * MIB + 5);
const words = new Uint32Array(weights.buffer, 0, weights.length >> 2);
for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 0x9e3779b1);
const config = new TextEncoder().encode('{}');
const HASH = sha256(weights);
const files = [
  { name: 'config.json', size: config.length, hash: { kind: 'git-sha1' as const, value: gitSha1(config) } },
  { name: 'model.safetensors', size: weights.length, hash: { kind: 'sha256' as const, value: HASH } },
];

let hub: TestHub;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huacaya-killed-'));
  hub = await startTestHub({ 'config.json': config, 'model.safetensors': weights });
  hub.switches.pace = 90e6;
});
afterAll(async () => {
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

function start(target: string) {
  const list = files.map((file) => ({ ...file, url: `${hub.endpoint}/${REPO}/resolve/${SHA}/${file.name}` }));
  const script = new URL('../../../bench/hubChild.mjs', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, target, JSON.stringify({ repo: REPO, files: list })]);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  return { child, done: once(child, 'close').then(([code]) => ({ code, said })) };
}

async function isWhole(target: string) {
  expect((await readdir(join(target, 'blobs'))).sort()).toEqual(files.map((file) => file.hash.value).sort());
  expect(sha256(await readFile(join(target, 'blobs', HASH)))).toBe(HASH);
  expect(await readdir(join(target, 'locks'))).toEqual([]);
}

describe('a killed download', () => {
  it('goes on where the dead process was, three times over', async () => {
    const target = join(folder, 'killed');
    const missing = () => missingBytes(files[1]!, join(target, 'blobs', HASH));
    let before = weights.length;
    for (const kept of [3, 7, 12]) {
      const { child, done } = start(target);
      while ((await missing()) > weights.length - kept * MIB && child.exitCode === null) await sleep(3);
      child.kill('SIGKILL');
      expect(await done).toMatchObject({ code: null });
      const now = await missing();
      expect(now).toBeLessThan(before);
      before = now;
    }
    hub.served.clear();
    expect(await start(target).done).toMatchObject({ code: 0, said: expect.not.stringContaining('waiting') });
    expect(hub.served.get('model.safetensors')).toBe(before);
    await isWhole(target);
  });

  it('loses little, because little is held back', async () => {
    // A disk that never answers: what is taken before that shows is what a killed process has in its hands.
    const part = { table: new ChunkTable(64 * MIB), write: () => new Promise(() => {}), settle: async () => {} };
    const writer = new ChunkWriter(part as unknown as BlobPart, () => {});
    const chunk = part.table.chunk(0);
    const piece = new Uint8Array(64 << 10);
    let taken = 0;
    const fill = async () => {
      for (;;) {
        await writer.put(chunk, taken, piece);
        taken += piece.length;
      }
    };
    await Promise.race([fill(), sleep(20)]);
    // Eight connections, each with two more pieces in the buffers of the stream.
    expect(8 * (taken + 3 * piece.length)).toBeLessThanOrEqual(8 * MIB);
    expect(taken).toBeGreaterThan(0);
  });
});

it('is fetched once when three processes want it at once', async () => {
  hub.served.clear();
  const target = join(folder, 'together');
  const all = await Promise.all([1, 2, 3].map(() => start(target).done));
  expect(all.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(all.filter(({ said }) => said.includes('another process is fetching model.safetensors'))).toHaveLength(2);
  expect(hub.served.get('model.safetensors')).toBe(weights.length);
  await isWhole(target);
});
