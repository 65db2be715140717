// Blobs onto the disk, over networks as they are: parts, resumption, mirrors, locks. The hub on loopback misbehaves on demand.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import { type BlobJob, type BlobsOptions, downloadBlobs, missingBytes } from '../../../src/hub/downloadBlobs.ts';
import type { HubEvent } from '../../../src/hub/index.ts';
import { gitSha1, REPO, SHA, sha256, startTestHub, type TestHub } from './testHub.ts';

const MIB = 1 << 20;
const text = (value: string) => new TextEncoder().encode(value);
/** Three chunks of 4 MiB, the last one short. */
const weights = new Uint8Array(9 * MIB + 12_345);
const WEIGHTS = 'model.safetensors';
const FILES: Record<string, Uint8Array> = { 'config.json': text('{}'), 'empty.txt': text(''), [WEIGHTS]: weights };

let hub: TestHub;
let folder: string;
let events: HubEvent[];
const notes = () => events.flatMap((event) => (event.type === 'note' ? [event.message] : []));
const ranges = () => hub.requests.filter((r) => r.server === 'storage').map((r) => r.range);
const blobPath = (name: string) => join(folder, 'blobs', name);
const partial = () => `${blobPath(WEIGHTS)}.huacaya.incomplete`;
const journal = () => `${blobPath(WEIGHTS)}.huacaya.journal`;

function job(name: string, endpoints = [hub.endpoint]): BlobJob {
  const content = FILES[name]!;
  const hash = name === WEIGHTS ? ({ kind: 'sha256', value: sha256(content) } as const) : undefined;
  return {
    file: { name, size: content.length, hash: hash ?? { kind: 'git-sha1', value: gitSha1(content) } },
    urls: endpoints.map((endpoint) => `${endpoint}/${REPO}/resolve/${SHA}/${name}`),
    blobPath: blobPath(name),
    lockPath: join(folder, 'locks', `${name}.lock`),
  };
}

const download = (jobs: BlobJob[], more: Partial<BlobsOptions> = {}) =>
  downloadBlobs(jobs, { repo: REPO, delaysMs: [1, 1, 1], onEvent: (event) => events.push(event), ...more });

async function isComplete(name = WEIGHTS) {
  expect(sha256(await readFile(blobPath(name)))).toBe(sha256(FILES[name]!));
  expect((await readdir(join(folder, 'blobs'))).filter((file) => file.includes('huacaya'))).toEqual([]);
}

beforeAll(() => {
  const rng = createRng(7);
  const words = new Uint32Array(weights.buffer, 0, weights.length >> 2);
  for (let i = 0; i < words.length; i++) words[i] = rng.uint32();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huacaya-blobs-'));
  events = [];
  hub = await startTestHub(FILES);
});
afterEach(async () => {
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

describe('downloadBlobs', () => {
  it('fetches large files in parts and small ones whole, and asks the hub for a signed address once', async () => {
    await download([job('config.json'), job('empty.txt'), job(WEIGHTS)], { token: 'hf_secret' });
    for (const name of Object.keys(FILES)) await isComplete(name);
    expect(ranges().sort()).toEqual(
      [`bytes=${4 * MIB}-${8 * MIB - 1}`, `bytes=${8 * MIB}-`, `bytes=0-${4 * MIB - 1}`].sort(),
    );
    expect(hub.requests.filter((r) => r.path.includes(`resolve/${SHA}/${WEIGHTS}`))).toHaveLength(1);
    expect(hub.served.get(WEIGHTS)).toBe(weights.length);
    const tokens = (server: string) =>
      new Set(hub.requests.filter((r) => r.server === server).map((r) => r.authorization));
    expect(tokens('hub')).toEqual(new Set(['Bearer hf_secret']));
    expect(tokens('storage')).toEqual(new Set([undefined]));
    expect(await readdir(join(folder, 'locks'))).toEqual([]);
  });

  it('tells of each file and of all together, up to the last byte', async () => {
    await download([job('config.json'), job(WEIGHTS)]);
    const total = 2 + weights.length;
    expect(events.at(-1)).toMatchObject({ type: 'total', received: total, total, filesDone: 2, files: 2 });
    const last = events.filter((event) => event.type === 'progress').at(-1);
    expect(last).toEqual({ type: 'progress', file: WEIGHTS, received: weights.length, total: weights.length });
    expect(
      events
        .filter((event) => event.type === 'verified')
        .map((event) => event.file)
        .sort(),
    ).toEqual(['config.json', WEIGHTS]);
  });

  it('asks for a new signed address when the old one is refused', async () => {
    hub.switches.signedUses = 1;
    await download([job(WEIGHTS)]);
    await isComplete();
    expect(notes()).toEqual([]);
  });

  it('goes on after an interruption without fetching anything twice', async () => {
    hub.switches.pace = 40e6;
    const stop = new AbortController();
    const onEvent = (event: HubEvent) => {
      if (event.type === 'progress' && event.received > 3 * MIB) stop.abort(new Error('enough'));
    };
    await expect(download([job(WEIGHTS)], { signal: stop.signal, onEvent })).rejects.toThrow('enough');
    const missing = await missingBytes(job(WEIGHTS).file, blobPath(WEIGHTS));
    expect(missing).toBeLessThan(weights.length - 3 * MIB);
    expect(await readdir(join(folder, 'locks'))).toEqual([]);
    delete hub.switches.pace;
    hub.served.clear();
    await download([job(WEIGHTS)]);
    await isComplete();
    expect(hub.served.get(WEIGHTS)).toBe(missing);
  });

  it('believes of a journal from another run of the machine only what was synced', async () => {
    const { hash } = job(WEIGHTS).file;
    const header = { huacaya: 1, hash: hash.value, size: weights.length, chunk: 4 * MIB, host: 'elsewhere', boot: 1 };
    await download([job(WEIGHTS)]);
    const write = async (lines: string[]) => {
      await rm(blobPath(WEIGHTS), { force: true });
      const damaged = weights.slice();
      damaged.fill(0, 5 * MIB);
      await writeFile(partial(), damaged);
      await writeFile(journal(), [JSON.stringify(header), ...lines].join('\n'));
    };
    await write(['0 2097152', '0 4194304', 'S 2', '1 1048576', '1 4194304', '2 5', 'S 3', '']);
    expect(await missingBytes(job(WEIGHTS).file, blobPath(WEIGHTS))).toBe(weights.length - 5 * MIB);
    hub.served.clear();
    await download([job(WEIGHTS)]);
    await isComplete();
    expect(hub.served.get(WEIGHTS)).toBe(weights.length - 5 * MIB);
    // A record that was cut off, and one that is no record.
    for (const end of ['1 10485', 'x\n1 5\nS 2\n']) {
      await write(['0 4194304', 'S 1', end]);
      expect(await missingBytes(job(WEIGHTS).file, blobPath(WEIGHTS))).toBe(weights.length - 4 * MIB);
    }
    expect(notes()).toEqual([]);
  });

  it('finds a part on the disk that is wrong, whatever its journal says', async () => {
    await download([job('config.json')]);
    // The folder is there now.
    await writeFile(partial(), new Uint8Array(5 * MIB));
    await download([job(WEIGHTS)]);
    await isComplete();
    expect(notes().join()).toMatch(/has sha256 .* starting that file again/);
  });
});

it('names the file when the disk refuses it, and goes on once it does not', async () => {
  // A folder stands where the blob should be.
  await mkdir(join(blobPath(WEIGHTS), 'x'), { recursive: true });
  await expect(download([job(WEIGHTS)])).rejects.toMatchObject({
    code: 'FILE_UNREADABLE',
    message: expect.stringContaining(blobPath(WEIGHTS)),
  });
  await rm(blobPath(WEIGHTS), { recursive: true });
  hub.served.clear();
  await download([job(WEIGHTS)]);
  await isComplete();
  expect(hub.served.size).toBe(0);
});

describe('a server that misbehaves', () => {
  it.each(['drop', 'reset', 'stall'] as const)('goes on after a %s in the middle of a part', async (kind) => {
    hub.switches[kind] = { file: WEIGHTS, afterBytes: 1.5 * MIB, times: 2 };
    await download([job(WEIGHTS)], { stallMs: 150 });
    await isComplete();
    expect(notes().length).toBeGreaterThan(0);
    expect(notes().length).toBeLessThan(3);
    expect(ranges().length).toBe(5);
  });

  it.each(['ignoreRange', 'refuseRange', 'gzip'] as const)('takes the file as a whole with %s', async (kind) => {
    hub.switches[kind] = true;
    await download([job(WEIGHTS)]);
    await isComplete();
    expect(hub.served.get(WEIGHTS)).toBe(weights.length);
  });

  it('keeps what it has when the server stops sending parts', async () => {
    hub.switches.drop = { file: WEIGHTS, afterBytes: 1.5 * MIB, times: 1 };
    const onEvent = (event: HubEvent) => {
      if (event.type === 'note') hub.switches.ignoreRange = true;
      events.push(event);
    };
    await download([job(WEIGHTS)], { onEvent });
    await isComplete();
    expect(notes().join()).not.toMatch(/starting that file again/);
  });

  it.each(['wrongRange', 'chunked'] as const)('is not taken in by %s', async (kind) => {
    if (kind === 'chunked') hub.switches.chunked = true;
    else hub.switches.wrongRange = { times: 1e9 };
    await download([job(WEIGHTS)]);
    await isComplete();
    expect(notes()).toEqual([]);
  });

  it('starts again when the file changes on the way, and says so', async () => {
    hub.switches.oldVersion = { file: WEIGHTS, times: 1 };
    await download([job(WEIGHTS)]);
    await isComplete();
    expect(notes()).toEqual([expect.stringContaining('changed on the server')]);
    expect(hub.requests.some((r) => r.ifRange === '"of-an-older-file"')).toBe(true);
  });

  it('lets the hash decide where tags change all the time', async () => {
    hub.switches.strayTags = true;
    await download([job(WEIGHTS)]);
    await isComplete();
    expect(notes()).toEqual([expect.stringContaining('changed on the server')]);
  });

  it.each([7, -7])('names both lengths when %i bytes too many are sent', async (by) => {
    hub.switches.wrongLength = { file: WEIGHTS, by };
    await expect(download([job(WEIGHTS)])).rejects.toMatchObject({
      code: 'HUB_WRONG_CONTENT',
      message: expect.stringMatching(new RegExp(`${weights.length + by} bytes.*${weights.length}`)),
    });
    expect(await readdir(join(folder, 'blobs'))).toEqual([]);
  });

  it('fetches a wrong file once more, then says so and keeps nothing', async () => {
    hub.switches.wrongBytes = { file: WEIGHTS, times: 1 };
    await download([job(WEIGHTS)]);
    await isComplete();
    await rm(blobPath(WEIGHTS));
    hub.switches.wrongBytes = { file: WEIGHTS, times: 1e9 };
    await expect(download([job(WEIGHTS)])).rejects.toMatchObject({ code: 'HUB_WRONG_CONTENT' });
    expect(await readdir(join(folder, 'blobs'))).toEqual([]);
  });

  it('gives up when the server asks for an hour', async () => {
    const later = new Date(Date.now() + 3600_000).toUTCString();
    hub.switches.fail = { path: 'config.json', times: 1, status: 503, headers: { 'retry-after': later } };
    await expect(download([job('config.json')])).rejects.toMatchObject({
      code: 'HUB_BUSY',
      message: expect.stringContaining('it asks to wait 60 minutes'),
    });
  });

  it('gives up after a bounded number of tries without progress, however many connections fail', async () => {
    hub.switches.drop = { file: WEIGHTS, afterBytes: 1000, times: 1e9 };
    await expect(download([job(WEIGHTS)])).rejects.toMatchObject({ code: 'HUB_LOST' });
    expect(notes()).toHaveLength(3);
    expect((await stat(partial())).size).toBeGreaterThan(0);
  });

  it('stops the other files when one fails for good', async () => {
    hub.switches.pace = 20e6;
    hub.switches.fail = { path: 'config.json', times: 9, status: 404, headers: { 'x-error-code': 'EntryNotFound' } };
    await expect(download([job(WEIGHTS), job('config.json')])).rejects.toMatchObject({ code: 'HUB_NOT_FOUND' });
    expect(hub.served.get(WEIGHTS) ?? 0).toBeLessThan(weights.length);
  });
});

describe('mirrors', () => {
  let mirror: TestHub;
  beforeEach(async () => {
    mirror = await startTestHub(FILES);
  });
  afterEach(() => mirror.close());
  const both = (name: string) => job(name, [hub.endpoint, mirror.endpoint]);

  it('are asked when the first one is gone, by all files and without waiting for long', async () => {
    await hub.close();
    await download([both('config.json'), both('empty.txt'), both(WEIGHTS)], { delaysMs: [1, 60_000] });
    await isComplete();
    expect(notes().at(-1)).toMatch(/ECONNREFUSED.*going on with 127\.0\.0\.1/);
  });

  it('give the file that the first one has not, or has wrong, and the rest of one that broke off', async () => {
    hub.switches.fail = { path: 'config.json', times: 1, status: 404 };
    await download([both('config.json'), both('empty.txt')]);
    expect(mirror.requests.every((request) => request.path.includes('config.json'))).toBe(true);
    hub.switches.wrongBytes = { file: WEIGHTS, times: 1e9 };
    await download([both(WEIGHTS)]);
    await isComplete();
    await rm(blobPath(WEIGHTS));
    delete hub.switches.wrongBytes;
    hub.switches.drop = { file: WEIGHTS, afterBytes: 2 * MIB, times: 1e9 };
    mirror.served.clear();
    await download([both(WEIGHTS)], { delaysMs: [] });
    await isComplete();
    expect(mirror.served.get(WEIGHTS)).toBeLessThan(weights.length);
  });

  it('fail with the error of the first one', async () => {
    hub.switches.gated = 403;
    mirror.switches.fail = { path: 'config.json', times: 9, status: 404 };
    await expect(download([both('config.json')], { token: 'hf_x' })).rejects.toMatchObject({ code: 'HUB_GATED' });
  });
});

describe('several downloads of the same file at once', () => {
  it('fetch it once, and those that wait say so', async () => {
    hub.switches.pace = 40e6;
    await Promise.all([1, 2, 3].map(() => download([job(WEIGHTS), job('config.json')])));
    await isComplete();
    expect(hub.served.get(WEIGHTS)).toBe(weights.length);
    expect(notes().filter((note) => note.includes(`another process is fetching ${WEIGHTS}`))).toHaveLength(2);
  });

  it('stop waiting when they are told to', async () => {
    hub.switches.silent = WEIGHTS;
    const stop = new AbortController();
    const first = download([job(WEIGHTS)], { signal: stop.signal }).catch((error) => error);
    const onEvent = (event: HubEvent) => {
      if (event.type === 'note') stop.abort(new Error('no more'));
    };
    await expect(download([job(WEIGHTS)], { signal: stop.signal, onEvent })).rejects.toThrow('no more');
    expect((await first).message).toBe('no more');
  });
});

it('fetches two names for the same content once', async () => {
  FILES['copy.json'] = FILES['config.json']!;
  const copy = { ...job('config.json'), file: { ...job('config.json').file, name: 'copy.json' } };
  await download([job('config.json'), copy]);
  expect(hub.served.size).toBe(1);
  expect(events.at(-1)).toMatchObject({ type: 'total', received: 4, total: 4, filesDone: 2 });
  expect(notes()).toEqual([]);
});

it('downloads forty files side by side', async () => {
  const names = Array.from({ length: 40 }, (_, i) => `part${i}.txt`);
  for (const name of names) FILES[name] = text(name.repeat(50));
  await hub.close();
  hub = await startTestHub(FILES);
  await download(names.map((name) => job(name)));
  for (const name of names) await isComplete(name);
  expect(events.filter((event) => event.type === 'verified')).toHaveLength(40);
});
