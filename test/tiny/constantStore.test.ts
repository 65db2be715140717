// Files of constants on a tiny model: the second start answers as the first did, bit by bit, and whatever is wrong with the
// files, or with the place for them, the next start has it right.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { constantStore, type KeptConstants } from '../../src/assistant/constantStore.ts';
import { engineError, type Runtime } from '../../src/engine/index.ts';
import { quantisedFolder } from '../../src/hub/index.ts';
import { openCheckpoint } from '../../src/models/node.ts';
import { createDecodeEngine, type DecodePrecision } from '../../src/runner/index.ts';
import { feed } from '../helpers/tinyDecode.ts';
import { temporaryFolder, tinyModel, writeTinyModel } from '../helpers/tinyModel.ts';
import { randomSequence, startRuntime } from '../helpers/tinyRun.ts';

const folder = temporaryFolder();
let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(async () => {
  await runtime.close();
  folder.remove();
});

const model = tinyModel();
let next = 0;
let path: string;
let cacheDir: string;
let stores: KeptConstants[] = [];
beforeEach(() => {
  const place = join(folder.path, `${next++}`);
  path = writeTinyModel(join(place, 'model'), model);
  cacheDir = join(place, 'cache');
});
afterEach(async () => {
  for (const s of stores) await s.dispose();
  stores = [];
});
const kept = () => readdirSync(quantisedFolder(cacheDir)).sort();
const temporaries = () => readdirSync(tmpdir()).filter((f) => f.startsWith('huacaya-weights-'));
const ids = [...randomSequence(80, 7).ids];

interface StartOptions {
  precision?: DecodePrecision;
  from?: string;
  dir?: string | undefined;
  on?: Runtime;
  onProgress?: () => void;
}

/** Starts as the assistant does, and answers through every body. */
async function start({ precision = 'int8', from = path, on = runtime, ...o }: StartOptions = {}) {
  const said: string[] = [];
  const out = { warn: (text: string) => said.push(text), progress: () => {} };
  const checkpoint = await openCheckpoint(from);
  const { config } = checkpoint;
  let projections = 0;
  const weights: typeof checkpoint.weights = {
    ...checkpoint.weights,
    read(role, rows) {
      if (role.kind === 'projection') projections++;
      return checkpoint.weights.read(role, rows);
    },
  };
  const store = constantStore(out, { runtime: on, checkpoint, cacheDir: 'dir' in o ? o.dir : cacheDir });
  stores.push(store);
  const engine = await createDecodeEngine({
    runtime: on,
    config,
    weights,
    precision,
    store,
    slots: 2,
    capacity: 128,
    ...(o.onProgress ? { onProgress: o.onProgress } : {}),
  }).finally(() => checkpoint.weights.close());
  const answer = async () => {
    await engine.warm();
    const many = await feed(engine, 0, [ids]);
    return [...many, ...(await feed(engine, 0, [[5]], { past: 80 }))];
  };
  return { store, used: store.used, said, read: projections > 0, answer };
}

describe.each(['int8', 'int4'] as const)('in %s', (precision) => {
  it('the second start reads no matrix of the model, and answers the same, bit by bit', async () => {
    const first = await start({ precision });
    expect(first).toMatchObject({ used: false, read: true, said: [] });
    const expected = await first.answer();
    const second = await start({ precision });
    expect(second).toMatchObject({ used: true, read: false, said: [] });
    await second.store.verified();
    expect(await second.answer()).toEqual(expected);
    expect(kept()).toHaveLength(precision === 'int4' ? 2 : 1);
    expect(temporaries()).toEqual([]);
  });
});

it('asks for nothing, and keeps nothing, in fp32 and nf4', async () => {
  for (const precision of ['fp32', 'nf4'] as const) {
    expect(await start({ precision })).toMatchObject({ used: false, said: [] });
    expect(existsSync(cacheDir)).toBe(false);
  }
});

it('with two starts at once both are right, and the next one finds it', async () => {
  const both = await Promise.all([start(), start()]);
  const third = await start();
  expect(third).toMatchObject({ used: true, said: [] });
  const right = await third.answer();
  for (const { said, answer } of both) {
    expect(said).toEqual([]);
    expect(await answer()).toEqual(right);
  }
  expect(kept()).toHaveLength(1);
});

describe('is not used', () => {
  it('for other weights in the same place', async () => {
    const before = await (await start()).answer();
    writeTinyModel(path, tinyModel(undefined, 2));
    const changed = await start();
    expect(changed).toMatchObject({ used: false, said: [] });
    expect(await changed.answer()).not.toEqual(before);
  });

  it('for another precision', async () => {
    await start({ precision: 'int8' });
    expect((await start({ precision: 'int4' })).used).toBe(false);
  });

  it('when the model changes while it is read: this start has a file of its own, and none is kept', async () => {
    const onProgress = () => utimesSync(join(path, 'model.safetensors'), 1, 1);
    const { said, answer } = await start({ onProgress });
    expect(said).toEqual([
      'quantised cache: model was written to while it was read; the next start converts the weights again',
    ]);
    expect(existsSync(quantisedFolder(cacheDir))).toBe(false);
    expect(await answer()).toEqual(await (await start()).answer());
  });
});

describe('a damaged file', () => {
  let right: number[];
  const file = () => join(quantisedFolder(cacheDir), kept()[0]!);
  beforeEach(async () => {
    right = await (await start()).answer();
  });
  const startAgain = async () => {
    const again = await start();
    expect(again).toMatchObject({ used: false, said: [] });
    expect(await again.answer()).toEqual(right);
    const third = await start();
    expect(third.used).toBe(true);
    await third.store.verified();
  };

  it('is noticed before anything that came of it is believed, and deleted: the next start makes it anew', async () => {
    // Far behind the header.
    const bytes = readFileSync(file());
    for (let at = bytes.length >> 1; at < bytes.length; at += 100) bytes[at]! ^= 4;
    writeFileSync(file(), bytes);
    const { used, said, store } = await start();
    expect({ used, said }).toEqual({ used: true, said: [] });
    await expect(store.verified()).rejects.toMatchObject({
      code: 'BAD_VIEW_FILE',
      message: expect.stringMatching(/is damaged: a checksum does not fit$/),
      hint: 'It was deleted: start again.',
    });
    expect(kept()).toEqual([]);
    await startAgain();
  });

  it('that is cut, or something else, is said to be, and made again at once', async () => {
    for (const [spoil, message] of [
      [() => truncateSync(file(), statSync(file()).size - 1), /has \d+ bytes instead of \d+/],
      [() => writeFileSync(file(), 'Dear diary, today I was in the wrong folder.'), /is not a view file/],
    ] as const) {
      spoil();
      const { used, said, answer } = await start();
      expect({ used, said }).toEqual({ used: false, said: [expect.stringMatching(message)] });
      expect(said[0]).toMatch(/^quantised cache: .*; the weights are converted again$/);
      expect(await answer()).toEqual(right);
      const third = await start();
      expect(third.used).toBe(true);
      await third.store.verified();
    }
  });
});

describe('what cannot be kept goes to a temporary folder, which is removed in the end:', () => {
  const check = async (message: RegExp | undefined, options: StartOptions, bodies: number) => {
    const before = temporaries();
    const { used, said, store, answer } = await start({ precision: 'int4', ...options });
    expect({ used, said }).toEqual({ used: false, said: message ? [expect.stringMatching(message)] : [] });
    const made = temporaries().filter((f) => !before.includes(f));
    expect(made).toHaveLength(1);
    expect(readdirSync(join(tmpdir(), made[0]!))).toHaveLength(bodies);
    await store.verified();
    const own = await answer();
    await store.dispose();
    expect(temporaries()).toEqual(before);
    await store.dispose(); // once more does no harm
    expect(own).toEqual(await (await start({ precision: 'int4', dir: join(path, '..', 'good') })).answer());
  };
  const cannotKeep = /^quantised cache: .*; the next start converts the weights again$/;

  it('without a cache folder', () => check(undefined, { dir: undefined }, 2));

  it('with a file where the folder should be', async () => {
    writeFileSync(cacheDir, '');
    const before = temporaries();
    const { said, answer } = await start({ precision: 'int4' });
    expect(said).toEqual([expect.stringMatching(/^quantised cache: .*; the .*weights.* again$/)]);
    expect(temporaries().length).toBe(before.length + 1);
    expect(await answer()).toHaveLength(2 * model.config.vocab_size);
  });

  it.skipIf(process.getuid?.() === 0)('in a folder that is read-only', async () => {
    mkdirSync(cacheDir);
    chmodSync(cacheDir, 0o500);
    await check(cannotKeep, {}, 2);
  });

  it('on a full disk, and nothing half written stays behind', async () => {
    const full: Runtime = {
      ...runtime,
      files: {
        ...runtime.files!,
        store(file, parts) {
          // The cache's disk is full, the one for temporary files is not.
          const left = existsSync(quantisedFolder(cacheDir)) ? kept() : [];
          if (left.some((f) => f.endsWith('.tmp')))
            return Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
          return runtime.files!.store(file, parts);
        },
      },
    };
    await check(/^quantised cache: .*no space left on the disk; the next start/, { on: full }, 2);
    expect(kept()).toEqual([]);
  });

  it('and where there is no room at all the start fails, with nothing left', async () => {
    const before = temporaries();
    const noRoom = () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    const full: Runtime = { ...runtime, files: { ...runtime.files!, store: noRoom } };
    await expect(start({ on: full })).rejects.toMatchObject({ code: 'NO_SPACE' });
    for (const s of stores) await s.dispose();
    expect(temporaries()).toEqual(before);
  });
});

it('does not hide a failure of the engine', async () => {
  const failure = engineError('out of memory');
  const broken: Runtime = { ...runtime, files: { ...runtime.files!, store: () => Promise.reject(failure) } };
  await expect(start({ on: broken })).rejects.toBe(failure);
});

it('frees what it put on the device when it fails', async () => {
  let held = 0;
  const counting: Runtime = {
    ...runtime,
    alloc(...wanted) {
      held++;
      return runtime.alloc(...wanted);
    },
    upload(data) {
      held++;
      return runtime.upload(data);
    },
    free(buffer) {
      held--;
      runtime.free(buffer);
    },
    files: { ...runtime.files!, store: () => Promise.reject(engineError('gone')) },
  };
  await expect(start({ on: counting })).rejects.toThrow('gone');
  expect(held).toBe(0);
  rmSync(cacheDir, { recursive: true, force: true });
});
