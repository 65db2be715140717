// The quantised cache on a tiny model: the second load computes what the first one computed, bit by bit, and whatever is
// wrong with the cache, or new about the model, the load succeeds all the same.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LoadReport } from '../../src/assistant/index.ts';
import { quantisedCache } from '../../src/assistant/node.ts';
import { engineError, type Runtime, type View } from '../../src/engine/index.ts';
import { quantisedFolder } from '../../src/hub/index.ts';
import { openCheckpoint } from '../../src/models/node.ts';
import { precisions } from '../../src/quant/index.ts';
import { InferencePass, type LoadOptions, loadModel } from '../../src/runner/index.ts';
import { temporaryFolder, tinyConfigs, tinyModel, writeTinyModel } from '../helpers/tinyModel.ts';
import { countTargets, lora, passWith, randomSequence, startRuntime } from '../helpers/tinyRun.ts';

const folder = temporaryFolder();
let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(async () => {
  await runtime.close();
  folder.remove();
});

const model = tinyModel(tinyConfigs.untied);
let next = 0;
let path: string;
let cacheDir: string;
beforeEach(() => {
  const place = join(folder.path, `${next++}`);
  path = writeTinyModel(join(place, 'model'), model);
  cacheDir = join(place, 'cache');
});
const kept = () => readdirSync(quantisedFolder(cacheDir)).sort();
const keptFile = () => join(quantisedFolder(cacheDir), kept()[0]!);

/** Loads as the command line does. @returns also whether the cache was used, and what was said about it. */
async function load(options: Partial<LoadOptions> = {}, from = path) {
  const said: string[] = [];
  const out = { warn: (text: string) => said.push(text), progress: () => {} };
  const checkpoint = await openCheckpoint(from);
  const { config, weights } = checkpoint;
  const cache = quantisedCache(out, { runtime, checkpoint, cacheDir });
  const resident = await loadModel({
    runtime,
    config,
    weights,
    precision: 'int8',
    training: true,
    cache,
    ...options,
  });
  await weights.close();
  return { resident, used: cache.used, said };
}

type Resident = Awaited<ReturnType<typeof load>>['resident'];
const sequences = [randomSequence(24, 1, 3), randomSequence(31, 2)];

async function lossAndGradients(resident: Resident) {
  const { pass } = await passWith(resident, lora());
  const { loss, gradients } = await pass.run(sequences, 1 / countTargets(sequences));
  pass.release();
  return { loss, gradients };
}

/** Every byte that conversion made. */
async function bytesOf({ embedding, head, layers }: Resident) {
  const read = async ([name, v]: [string, View]) => {
    const data = await runtime.read(v);
    const hash = createHash('sha256').update(new Uint8Array(data.buffer));
    return `${name} ${v.buffer.dtype} [${v.shape}] ${hash.digest('hex')}`;
  };
  return Promise.all([embedding, head, ...layers].flatMap((views) => Object.entries(views).map(read)));
}

const quantised = precisions.filter((p) => p !== 'fp32');

describe.each(quantised)('in %s', (precision) => {
  it('the second load has the loss and the gradients of the first, bit by bit', async () => {
    const first = await load({ precision });
    expect(first).toMatchObject({ used: false, said: [] });
    const second = await load({ precision });
    expect(second).toMatchObject({ used: true, said: [] });
    expect(await lossAndGradients(second.resident)).toEqual(await lossAndGradients(first.resident));
    expect(second.resident.foldedNorms).toEqual(first.resident.foldedNorms);
    expect(kept()).toHaveLength(1);
  });

  it('and in inference the logits', async () => {
    const logits = async () => {
      const { resident, used } = await load({ precision, training: false });
      const pass = await InferencePass.create(resident);
      return { used, logits: await pass.advance(pass.createCache(20), [...randomSequence(20, 7).ids]) };
    };
    const first = await logits();
    expect(await logits()).toEqual({ used: true, logits: first.logits });
  });
});

it('serves another length, whose tables it does not hold', async () => {
  await load({ positions: 32, packTokens: 64 });
  const { resident, used } = await load({ positions: 256, packTokens: 300 });
  expect(used).toBe(true);
  expect([resident.iota.shape, resident.shared.cos!.shape]).toEqual([[256], [300, 8]]);
});

describe('is not used', () => {
  const usedAfter = async (change: () => void, options: Partial<LoadOptions> = {}) => {
    expect((await load()).used).toBe(false);
    expect((await load()).used).toBe(true);
    change();
    const { used, said } = await load(options);
    expect(said).toEqual([]);
    return used;
  };

  it('for other weights in the same place', async () => {
    const other = tinyModel(tinyConfigs.untied, 2);
    expect(await usedAfter(() => writeTinyModel(path, other))).toBe(false);
    const changed = await load();
    expect(changed.used).toBe(true);
    rmSync(quantisedFolder(cacheDir), { recursive: true });
    const fresh = await load();
    expect(await bytesOf(changed.resident)).toEqual(await bytesOf(fresh.resident));
  });

  it('for one bit of the weights, though size and time of modification are the same', async () => {
    const flip = () => {
      const file = join(path, 'model.safetensors');
      const { atime, mtime } = statSync(file);
      const bytes = readFileSync(file);
      bytes[bytes.length - 50_000]! ^= 1;
      writeFileSync(file, bytes);
      utimesSync(file, atime, mtime);
    };
    expect(await usedAfter(flip)).toBe(false);
  });

  it('for another configuration', async () => {
    const change = () => {
      const file = join(path, 'config.json');
      writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), rms_norm_eps: 1e-6 }));
    };
    expect(await usedAfter(change)).toBe(false);
  });

  it('for one copy of each matrix when it has two', async () => {
    expect(await usedAfter(() => {}, { oneCopy: true })).toBe(false);
    expect((await load({ oneCopy: true })).used).toBe(true);
  });

  it('for inference when it was made for training', async () => {
    expect(await usedAfter(() => {}, { training: false })).toBe(false);
    expect(kept()).toHaveLength(2);
    expect((await load()).used).toBe(true);
    expect((await load({ training: false })).used).toBe(true);
  });

  it('when the model changes while it is read: nothing is kept then', async () => {
    const onProgress = () => utimesSync(join(path, 'config.json'), 1, 1);
    expect(await load({ onProgress })).toMatchObject({ used: false, said: [] });
    expect((await load()).used).toBe(false);
  });
});

describe('is said to be damaged, and made again,', () => {
  let right: Awaited<ReturnType<typeof bytesOf>>;
  const check = async (message: RegExp) => {
    const { used, said, resident } = await load();
    expect({ used, said }).toEqual({ used: false, said: [expect.stringMatching(message)] });
    expect(said[0]).toMatch(/^quantised cache: .*; the weights are converted again$/);
    expect(await bytesOf(resident)).toEqual(right);
    expect(await load()).toMatchObject({ used: true, said: [] });
  };
  beforeEach(async () => {
    right = await bytesOf((await load()).resident);
  });

  it('when it is cut', async () => {
    truncateSync(keptFile(), statSync(keptFile()).size - 1);
    await check(/has \d+ bytes instead of \d+/);
    truncateSync(keptFile(), 0);
    await check(/has only 0 bytes/);
  });

  it('when it is something else', async () => {
    writeFileSync(keptFile(), 'Dear diary, today I was in the wrong folder.');
    await check(/is not a view file/);
  });

  it('when it is the file of another model', async () => {
    const other = writeTinyModel(join(path, '..', 'other'), tinyModel(tinyConfigs.untied, 2));
    const mine = keptFile();
    renameSync(mine, join(cacheDir, 'away'));
    await load({}, other);
    renameSync(keptFile(), mine);
    await check(/was made from something else/);
  });

  it('when any bit of it is another', async () => {
    const good = readFileSync(keptFile());
    const file = keptFile();
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.nat(7), async (byte, bit) => {
        const bytes = Uint8Array.from(good);
        bytes[byte]! ^= 1 << bit;
        writeFileSync(file, bytes);
        const { resident, used, said } = await load();
        expect(said).toHaveLength(used ? 0 : 1);
        expect(await bytesOf(resident)).toEqual(right);
      }),
      { numRuns: 8 },
    );
  });
});

describe('when nothing can be kept', () => {
  const cannotKeep = /^quantised cache: .*; the next start converts the weights again$/;

  it('because the folder is a file, it is said once, and the load succeeds', async () => {
    writeFileSync(cacheDir, '');
    const { used, said } = await load();
    expect(used).toBe(false);
    expect(said).toEqual([expect.stringMatching(/^quantised cache: .*; the .*weights.* again$/)]);
  });

  it.skipIf(process.getuid?.() === 0)('because the folder is read-only', async () => {
    mkdirSync(cacheDir);
    chmodSync(cacheDir, 0o500);
    const { used, said } = await load();
    expect({ used, said }).toEqual({ used: false, said: [expect.stringMatching(cannotKeep)] });
  });
});

it('with two loads at once both are right, and the next one finds it', async () => {
  const [one, other] = await Promise.all([load(), load()]);
  expect([...one.said, ...other.said]).toEqual([]);
  const third = await load();
  expect(third).toMatchObject({ used: true, said: [] });
  const right = await bytesOf(third.resident);
  for (const { resident } of [one, other]) expect(await bytesOf(resident)).toEqual(right);
  expect(kept()).toHaveLength(1);
});

it('does not hide a failure of the engine', async () => {
  await load();
  const failure = engineError('out of memory');
  const broken: Runtime = { ...runtime, files: { ...runtime.files!, load: () => Promise.reject(failure) } };
  const checkpoint = await openCheckpoint(path);
  const cache = quantisedCache({} as LoadReport, { runtime: broken, checkpoint, cacheDir });
  const loading = loadModel({ ...checkpoint, runtime: broken, precision: 'int8', training: true, cache });
  await expect(loading).rejects.toBe(failure);
  await checkpoint.weights.close();
});
