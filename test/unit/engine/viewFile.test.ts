// Views to a file and back: bit by bit, or an error that says what is wrong with the file and leaves the engine working.
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HuacayaError } from '../../../src/base/index.ts';
import { type HostArray, type Runtime, type View, view } from '../../../src/engine/index.ts';
import { createRuntime, loadViews, saveViews, viewFileSize } from '../../../src/engine/node.ts';
import { input, matmul, program } from '../../../src/graph/index.ts';
import { temporaryFolder } from '../../helpers/tinyModel.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder.path, name);
let runtime: Runtime;
beforeAll(async () => {
  runtime = await createRuntime({ threads: 1 });
});
afterAll(async () => {
  await runtime.close();
  folder.remove();
});

const errorOf = (promise: Promise<unknown>): Promise<HuacayaError> =>
  promise.then(
    () => expect.fail('nothing was wrong'),
    (e: HuacayaError) => e,
  );
const bytesOf = (a: HostArray) => [...new Uint8Array(a.buffer, a.byteOffset, a.byteLength)];
async function contents(views: ReadonlyMap<string, View>) {
  const all: Record<string, unknown> = {};
  for (const [name, v] of views) {
    all[name] = { dtype: v.buffer.dtype, shape: v.shape, bytes: bytesOf(await runtime.read(v)) };
  }
  return all;
}

/** Two views of one buffer, every type, an odd length, nothing at all, and numbers that only bits tell apart. */
function sampleViews(): Map<string, View> {
  const floats = runtime.upload(Float32Array.of(Number.NaN, -0, 0, 1e-45, Number.POSITIVE_INFINITY, -1.5));
  return new Map([
    ['whole', view(floats, [2, 3])],
    ['part', view(floats, [2], 3)],
    ['codes', view(runtime.upload(Int8Array.of(-128, 127, 1)), [3])],
    ['packed', view(runtime.upload(Uint8Array.of(255, 0)), [1, 2])],
    ['ids', view(runtime.upload(BigInt64Array.of(-1n, 1n << 60n)), [2])],
    ['none', view(runtime.upload(new Float32Array(0)), [0])],
    ['scalar', view(runtime.upload(Float32Array.of(7)), [])],
  ]);
}

describe('a round trip', () => {
  it('gives back every view bit by bit, and a shared buffer once', async () => {
    const views = sampleViews();
    const before = await contents(views);
    await saveViews(runtime, at('made/by/saving'), 'key', views);
    expect(readFileSync(at('made/by/saving')).length).toBe(viewFileSize('key', views));
    expect(readdirSync(at('made/by'))).toEqual(['saving']);
    const loaded = await loadViews(runtime, at('made/by/saving'), 'key');
    expect(await contents(loaded)).toEqual(before);
    expect([...loaded.keys()]).toEqual([...views.keys()]);
    expect(loaded.get('part')!.buffer).toBe(loaded.get('whole')!.buffer);
  });

  it('of buffers longer than what is read at once, several of them under way', async () => {
    const long = Uint8Array.from({ length: 3_500_001 }, (_, i) => (i * 31) ^ (i >> 8));
    const views = new Map<string, View>();
    for (let i = 0; i < 4; i++) {
      const data = long.slice(i);
      views.set(`${i}`, view(runtime.upload(data), [data.length]));
    }
    await saveViews(runtime, at('long'), 'key', views);
    const loaded = await loadViews(runtime, at('long'), 'key');
    for (let i = 0; i < 4; i++) {
      const back = (await runtime.read(loaded.get(`${i}`)!)) as Uint8Array;
      expect(Buffer.compare(back, long.subarray(i))).toBe(0);
    }
  });

  it('takes what was queued before', async () => {
    const x = view(runtime.upload(Float32Array.of(1, 2)), [2]);
    const saving = saveViews(runtime, at('queued'), 'key', new Map([['x', x]]));
    runtime.write(x.buffer, Float32Array.of(3, 4));
    await saving;
    const loaded = await loadViews(runtime, at('queued'), 'key');
    expect(loaded.get('x')!.shape).toEqual([2]);
  });

  it('with two writers and two readers of one file, all are well', async () => {
    const views = sampleViews();
    const before = await contents(views);
    const save = () => saveViews(runtime, at('two'), 'key', views);
    await Promise.all([save(), save()]);
    const load = () => loadViews(runtime, at('two'), 'key');
    const [one, other] = await Promise.all([load(), load(), save()]);
    expect(await contents(one)).toEqual(before);
    expect(await contents(other)).toEqual(before);
    expect(readdirSync(folder.path).filter((name) => name.includes('two'))).toEqual(['two']);
  });
});

/** Puts a header of our own making before the data of a good file. */
function withHeader(good: Buffer, change: (header: Record<string, unknown[][]>) => unknown): Buffer {
  const file = Buffer.from(good);
  const length = file.readUInt32LE(12);
  const header = JSON.parse(file.subarray(20, 20 + length).toString());
  const changed = change(header);
  const text = Buffer.from(JSON.stringify(changed === undefined ? header : changed).padEnd(length));
  expect(text.length).toBe(length);
  text.copy(file, 20);
  file.writeUInt32LE(crc32(text), 16);
  return file;
}

describe('a file that is not right', () => {
  let good: Buffer;
  let expected: unknown;
  beforeAll(async () => {
    const views = sampleViews();
    expected = await contents(views);
    await saveViews(runtime, at('good'), 'key', views);
    good = readFileSync(at('good'));
  });

  const load = (bytes: Uint8Array, key = 'key') => {
    writeFileSync(at('spoilt'), bytes);
    return loadViews(runtime, at('spoilt'), key);
  };
  const check = async (bytes: Uint8Array, message: RegExp) => {
    const error = await errorOf(load(bytes));
    expect([error.code, error.message]).toEqual(['BAD_VIEW_FILE', expect.stringMatching(message)]);
    expect(error.message.startsWith(at('spoilt'))).toBe(true);
    await runtime.sync();
  };

  it('is refused with any bit changed, or is none the worse for it', async () => {
    const flip = fc.record({ byte: fc.nat(good.length - 1), bit: fc.nat(7) });
    await fc.assert(
      fc.asyncProperty(flip, async ({ byte, bit }) => {
        const bytes = Uint8Array.from(good);
        bytes[byte]! ^= 1 << bit;
        const loaded = await load(bytes).catch((e: HuacayaError) => e.code);
        // Between the buffers lies nothing.
        if (loaded instanceof Map) expect(await contents(loaded)).toEqual(expected);
        else expect(loaded).toBe('BAD_VIEW_FILE');
      }),
      { numRuns: 100 },
    );
  });

  it('is refused with any bit of a buffer or of the start changed', async () => {
    const length = good.readUInt32LE(12);
    const places = [0, 7, 8, 12, 13, 16, 20, 19 + length];
    for (let block = 20 + length; block < good.length; block += 4096) places.push(block);
    for (const place of places) {
      const bytes = Uint8Array.from(good);
      bytes[place]! ^= 0x10;
      await check(bytes, /./);
    }
  });

  it('is refused at any other length', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), async (length) => {
        await check(good.subarray(0, length), /./);
      }),
      { numRuns: 40 },
    );
    await check(good.subarray(0, good.length - 1), /has \d+ bytes instead of \d+/);
    await check(Buffer.concat([good, Buffer.of(0)]), /has \d+ bytes instead of \d+/);
  });

  it('is refused when it is something else', async () => {
    await check(new Uint8Array(0), /has only 0 bytes/);
    await check(Buffer.from('{"weights": "somewhere else, in a file of its own"}'), /is not a view file/);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 20, maxLength: 5000 }), (bytes) => check(bytes, /./)),
      { numRuns: 20 },
    );
  });

  it('is refused in another version of the format', async () => {
    const bytes = Buffer.from(good);
    bytes.writeUInt32LE(2, 8);
    await check(bytes, /has version 2 of its format, this program writes 1/);
  });

  it('allocates nothing for a header that claims too much', async () => {
    const bytes = Buffer.from(good);
    bytes.writeUInt32LE(0xffffffff, 12);
    await check(bytes, /claims a header of 4294967295 bytes, but has \d+ bytes/);
  });

  it.each<[string, (h: Record<string, unknown[][]>) => unknown, RegExp]>([
    ['no object', () => [], /incomplete header/],
    ['nothing', () => null, /incomplete header/],
    [
      'a buffer larger than the file',
      (h) => {
        h.buffers![0]![1] = 9999;
      },
      /has \d+ bytes instead of \d+/,
    ],
    [
      'a buffer of half an element',
      (h) => {
        h.buffers![0]![1] = 5.5;
      },
      /describes a buffer as/,
    ],
    [
      'an unknown type',
      (h) => {
        h.buffers![0]![0] = 'float99';
      },
      /describes a buffer as \["float99"/,
    ],
    [
      'a type that every object has',
      (h) => {
        h.buffers![0]![0] = 'valueOf';
      },
      /describes a buffer as \["valueOf"/,
    ],
    [
      'a view of no buffer',
      (h) => {
        h.views![0]![1] = 9;
      },
      /describes a view as/,
    ],
    [
      'a view beyond its buffer',
      (h) => {
        h.views![0]![2] = 1;
      },
      /describes a view as/,
    ],
    [
      'a view with a negative size',
      (h) => {
        h.views![0]![3] = [-1];
      },
      /describes a view as/,
    ],
    [
      'a view twice',
      (h) => {
        h.views![1]![0] = 'whole';
      },
      /has two views whole/,
    ],
    [
      'rows that are none',
      (h) => {
        h.views = [7 as never];
      },
      /describes a view as 7/,
    ],
  ])('whose header has %s is refused', (_name, change, message) => check(withHeader(good, change), message));

  it('is refused under another key', async () => {
    const error = await errorOf(load(good, 'another'));
    expect([error.code, error.message]).toEqual(['OTHER_VIEW_FILE', expect.stringMatching(/made from something else/)]);
  });

  it('that is not there, or a folder, is told apart', async () => {
    expect((await errorOf(loadViews(runtime, at('nowhere'), 'key'))).code).toBe('FILE_NOT_FOUND');
    expect((await errorOf(loadViews(runtime, folder.path, 'key'))).code).toBe('FILE_UNREADABLE');
  });
});

describe('a place that cannot be written to', () => {
  const views = () => new Map([['x', view(runtime.upload(Float32Array.of(1)), [1])]]);

  it('is one clear error, and nothing is left behind', async () => {
    writeFileSync(at('file'), '');
    expect((await errorOf(saveViews(runtime, at('file/below'), 'key', views()))).code).toBe('FILE_UNREADABLE');
    mkdirSync(at('taken/inside'), { recursive: true });
    expect((await errorOf(saveViews(runtime, at('taken'), 'key', views()))).code).toBe('FILE_UNREADABLE');
    expect(readdirSync(folder.path).filter((name) => name.includes('tmp'))).toEqual([]);
    await runtime.sync();
  });

  it.skipIf(!existsSync('/dev/full'))('a full disk is told by its code', async () => {
    const full = openSync('/dev/full', 'w');
    const { buffer } = views().get('x')!;
    await expect(runtime.files!.store(full, [{ buffer, offset: 0 }])).rejects.toMatchObject({ code: 'ENOSPC' });
    closeSync(full);
    await runtime.sync();
  });
});

it('an engine that failed before is not blamed on the file', async () => {
  await saveViews(runtime, at('fine'), 'key', sampleViews());
  const product = await runtime.compile(program('product', { y: matmul(input('x', ['n', 2]), input('w', [2, 2])) }));
  const wrong = view(runtime.upload(Float32Array.of(1, 2, 3)), [1, 3]);
  const w = view(runtime.upload(new Float32Array(4)), [2, 2]);
  runtime.run(product, { x: wrong, w }, { y: view(runtime.alloc('float32', 2), [1, 2]) });
  expect((await errorOf(loadViews(runtime, at('fine'), 'key'))).code).toBe('ENGINE');
  expect((await loadViews(runtime, at('fine'), 'key')).size).toBe(7);
});
