// The contract of Runtime, held against the engine that runs in a worker: order, memory, errors, the end.
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { HuacayaError } from '../../../src/base/index.ts';
import { type CompiledProgram, type HostArray, type Runtime, type View, view } from '../../../src/engine/index.ts';
import { createRuntime } from '../../../src/engine/node.ts';
import { add, gatherRows, input, matmul, mul, program, scalar, scale } from '../../../src/graph/index.ts';

// The workers that runtimes started, so that a test can end one from outside.
const { workers } = vi.hoisted(() => ({ workers: [] as Worker[] }));
vi.mock('node:worker_threads', async (importOriginal) => {
  const actual = await importOriginal<typeof import('node:worker_threads')>();
  class Recorded extends actual.Worker {
    constructor(...args: ConstructorParameters<typeof actual.Worker>) {
      super(...args);
      workers.push(this);
    }
  }
  return { ...actual, Worker: Recorded };
});

let runtime: Runtime;
let double: CompiledProgram;
/** Two outputs: sum = x + y, product = x y. */
let pair: CompiledProgram;
/** x [n, 2] times w [2, 2]. */
let product: CompiledProgram;

beforeAll(async () => {
  runtime = await createRuntime({ threads: 2 });
  const [x, y] = [input('x', ['n']), input('y', ['n'])];
  double = await runtime.compile(program('double', { y: scale(x, 2) }));
  pair = await runtime.compile(program('pair', { sum: add(x, y), product: mul(x, y) }));
  const rows = matmul(input('x', ['n', 2]), input('w', [2, 2]));
  product = await runtime.compile(program('product', { rows }));
});
afterAll(() => runtime.close());

const floats = (...values: number[]) => Float32Array.from(values);
const upload = (...values: number[]): View => view(runtime.upload(floats(...values)), [values.length]);
const room = (length: number): View => view(runtime.alloc('float32', length), [length]);
const all = (v: View) => runtime.read(v).then((data) => Array.from(data as Float32Array));

/** Queues a run that onnxruntime refuses: 3 columns against 2. */
function queueMistake(): void {
  const x = view(runtime.upload(floats(1, 2, 3)), [1, 3]);
  const w = view(runtime.upload(floats(1, 0, 0, 1)), [2, 2]);
  runtime.run(product, { x, w }, { rows: view(runtime.alloc('float32', 2), [1, 2]) });
}

/** The error that a promise ends with. */
async function errorOf(promise: Promise<unknown>): Promise<HuacayaError> {
  const error = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(HuacayaError);
  return error as HuacayaError;
}

describe('the queue', () => {
  it('carries out commands in order, without being waited for', async () => {
    const [x, y] = [room(2), room(2)];
    runtime.write(x.buffer, floats(1, 2));
    runtime.run(double, { x }, { y });
    const first = all(y);
    runtime.write(x.buffer, floats(10, 20));
    const before = all(y);
    runtime.run(double, { x }, { y });
    const second = all(y);
    runtime.run(double, { x: y }, { y: x });
    expect(await Promise.all([first, before, second, all(x)])).toEqual([
      [2, 4],
      [2, 4],
      [20, 40],
      [40, 80],
    ]);
  });

  it('keeps the order across many batches', async () => {
    const buffers = [upload(1, -1), room(2)];
    for (let i = 0; i < 101; i++) runtime.run(double, { x: buffers[i % 2]! }, { y: buffers[(i + 1) % 2]! });
    expect(await all(buffers[1]!)).toEqual([2 ** 101, -(2 ** 101)]);
  });

  it('takes what is written as it is at that moment', async () => {
    const data = floats(1, 2);
    const x = room(2);
    runtime.write(x.buffer, data);
    data.fill(9);
    expect(await all(x)).toEqual([1, 2]);
    expect([...data]).toEqual([9, 9]);
  });

  it('sync ends after the work before it', async () => {
    const [x, y] = [upload(3), room(1)];
    const done: string[] = [];
    runtime.run(double, { x }, { y });
    const read = all(y).then((data) => done.push(`read ${data}`));
    await runtime.sync().then(() => done.push('sync'));
    await read;
    expect(done).toEqual(['read 6', 'sync']);
  });

  it('computes only the outputs that are bound', async () => {
    const [x, y, sum, other] = [upload(2, 3), upload(4, 5), room(2), room(2)];
    runtime.run(pair, { x, y }, { sum });
    runtime.run(pair, { x, y }, { product: other });
    runtime.run(pair, { x, y }, {});
    expect(await Promise.all([all(sum), all(other)])).toEqual([
      [6, 8],
      [8, 15],
    ]);
  });

  it('ignores feeds that a program does not know', async () => {
    const [x, y] = [upload(2), room(1)];
    runtime.run(double, { x, weights: x }, { y, more: x });
    expect(await Promise.all([all(y), all(x)])).toEqual([[4], [2]]);
  });
});

describe('memory', () => {
  it('reads and writes views at an offset and leaves the neighbours alone', async () => {
    const from = runtime.upload(floats(1, 2, 3, 4, 5, 6));
    const into = runtime.upload(floats(-1, -1, -1, -1, -1, -1));
    runtime.run(double, { x: view(from, [3], 2) }, { y: view(into, [3], 1) });
    runtime.write(into, floats(70), 5);
    expect(await all(view(into, [6]))).toEqual([-1, 6, 8, 10, -1, 70]);
    expect(await all(view(into, [2], 2))).toEqual([8, 10]);
    expect(await all(view(from, [6]))).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('input and output may be parts of one buffer', async () => {
    const buffer = runtime.upload(floats(1, 2, 0, 0));
    runtime.run(double, { x: view(buffer, [2]) }, { y: view(buffer, [2], 2) });
    expect(await all(view(buffer, [2, 2]))).toEqual([1, 2, 2, 4]);
  });

  it.each([
    ['past the end', [3], 4],
    ['too large', [3, 3], 0],
    ['before the start', [2], -1],
    ['nowhere', [2], Number.NaN],
  ] as const)('a view %s is an internal error', (_name, shape, offset) => {
    const buffer = runtime.alloc('float32', 6);
    expect(() => view(buffer, shape, offset)).toThrow(`internal: view [${shape}] at ${offset} of a buffer of 6`);
    expect(view(buffer, [2, 3])).toEqual({ buffer, offset: 0, shape: [2, 3] });
    expect(view(buffer, [0], 6).offset).toBe(6);
  });

  const samples: [string, () => HostArray, HostArray][] = [
    ['float32', () => floats(1.5, -2, 3e38, 1e-30), floats(0.25, 7)],
    ['int64', () => BigInt64Array.of(1n, -(2n ** 62n), 3n, 0n), BigInt64Array.of(2n ** 62n, -9n)],
    ['int32', () => Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0, -1), Int32Array.of(70_000, -9)],
    ['int8', () => Int8Array.of(-128, 127, 0, -1), Int8Array.of(5, -6)],
    ['uint8', () => Uint8Array.of(0, 255, 128, 1), Uint8Array.of(200, 3)],
  ];

  it.each(samples)('%s: upload, write at an offset, read', async (dtype, make, written) => {
    const buffer = runtime.upload(make());
    expect([buffer.dtype, buffer.length]).toEqual([dtype, 4]);
    const before = await runtime.read(view(buffer, [4]));
    expect(before).toEqual(make());
    runtime.write(buffer, written, 1);
    const expected = make();
    (expected as Float32Array).set(written as Float32Array, 1);
    expect(await runtime.read(view(buffer, [2, 2]))).toEqual(expected);
    const fresh = runtime.alloc(buffer.dtype, 2);
    runtime.write(fresh, written);
    expect(await runtime.read(view(fresh, [2]))).toEqual(written);
  });

  it('an upload takes only its own part of a larger array', async () => {
    const whole = floats(1, 2, 3, 4);
    const buffer = runtime.upload(whole.subarray(1, 3));
    expect(await all(view(buffer, [2]))).toEqual([2, 3]);
    expect([...whole]).toEqual([1, 2, 3, 4]);
  });

  it('bytes may come in a Buffer, whose memory others share', async () => {
    const bytes = Buffer.from([1, 2, 3]);
    const uploaded = runtime.upload(bytes);
    const written = runtime.alloc('uint8', 3);
    runtime.write(written, bytes);
    bytes.fill(9);
    expect(await runtime.read(view(uploaded, [3]))).toEqual(Uint8Array.of(1, 2, 3));
    expect(await runtime.read(view(written, [3]))).toEqual(Uint8Array.of(1, 2, 3));
    expect([...bytes]).toEqual([9, 9, 9]);
  });

  it('copies a part from buffer to buffer and within one, in order with the runs', async () => {
    const from = runtime.upload(floats(1, 2, 3, 4, 5, 6));
    const into = runtime.upload(floats(-1, -1, -1, -1));
    runtime.copy(view(from, [2], 3), view(into, [2], 1));
    const before = all(view(into, [4]));
    runtime.run(double, { x: view(into, [2], 1) }, { y: view(from, [2]) });
    runtime.copy(view(from, [1, 2]), view(from, [1, 2], 4));
    expect(await Promise.all([before, all(view(from, [6]))])).toEqual([
      [-1, 4, 5, -1],
      [8, 10, 3, 4, 8, 10],
    ]);
    const ids = runtime.upload(BigInt64Array.of(7n, -8n));
    const copied = runtime.alloc('int64', 2);
    runtime.copy(view(ids, [2]), view(copied, [2]));
    expect(await runtime.read(view(copied, [2]))).toEqual(BigInt64Array.of(7n, -8n));
  });

  it('a copy between parts that differ in size or type is an internal error', () => {
    const [from, into] = [runtime.alloc('float32', 6), runtime.alloc('float32', 6)];
    expect(() => runtime.copy(view(from, [2, 3]), view(into, [5]))).toThrow(
      'internal: [2,3] float32 copied to [5] float32',
    );
    expect(() => runtime.copy(view(from, [2]), view(runtime.alloc('int32', 2), [2]))).toThrow(
      'internal: [2] float32 copied to [2] int32',
    );
  });

  it('a write that does not fit is an internal error', async () => {
    const buffer = runtime.upload(floats(1, 2));
    expect(() => runtime.write(buffer, floats(1, 2, 3))).toThrow('internal: 3 float32 at 0 into 2 float32');
    expect(() => runtime.write(buffer, floats(1), 2)).toThrow('internal: 1 float32 at 2 into 2 float32');
    expect(() => runtime.write(buffer, Int8Array.of(1))).toThrow('internal: 1 int8 at 0 into 2 float32');
    expect(await all(view(buffer, [2]))).toEqual([1, 2]);
  });
});

describe('errors', () => {
  it('a run that fails is named at the next read, and the runtime goes on', async () => {
    const y = upload(5);
    queueMistake();
    const error = await errorOf(runtime.read(y));
    expect(error.code).toBe('ENGINE');
    expect(error.message).toMatch(/^product: .+/);
    expect(await all(y)).toEqual([5]);
    await runtime.sync();
  });

  it('a run that fails is named at the next sync', async () => {
    queueMistake();
    expect((await errorOf(runtime.sync())).message).toMatch(/^product: /);
    await runtime.sync();
  });

  it('work between the failure and its report is left out, memory is not', async () => {
    const [x, y] = [upload(1), upload(-1)];
    const old = upload(3);
    queueMistake();
    runtime.run(double, { x }, { y });
    runtime.write(x.buffer, floats(100));
    const [made, sent] = [room(1), upload(7)];
    runtime.free(old.buffer);
    await errorOf(runtime.sync());
    expect(await Promise.all([all(x), all(y), all(sent)])).toEqual([[1], [-1], [7]]);
    runtime.run(double, { x: sent }, { y: made });
    expect(await all(made)).toEqual([14]);
    expect((await errorOf(runtime.read(old))).message).toContain('is gone');
  });

  it('reports each failure once, the first of several', async () => {
    const y = upload(1);
    queueMistake();
    runtime.run(double, { x: y }, { y: view(runtime.alloc('float32', 3), [3]) });
    const results = await Promise.allSettled([runtime.read(y), runtime.read(y)]);
    expect(results.map((r) => r.status)).toEqual(['rejected', 'fulfilled']);
    expect((results[0] as PromiseRejectedResult).reason.message).toMatch(/^product: /);
  });

  it('an output bound with a wrong shape is refused', async () => {
    const y = view(runtime.upload(floats(-1, -1, -1)), [3]);
    runtime.run(double, { x: upload(1, 2) }, { y });
    expect((await errorOf(runtime.sync())).message).toMatch(/^double: /);
    expect(await all(y)).toEqual([-1, -1, -1]);
  });

  it('a missing feed is an internal error at once, and nothing is queued', async () => {
    const x = upload(1);
    expect(() => runtime.run(pair, { x }, {})).toThrow('internal: pair needs y');
    await runtime.sync();
  });

  it('a buffer that was freed is named', async () => {
    const x = upload(1);
    runtime.free(x.buffer);
    runtime.run(double, { x }, { y: room(1) });
    expect((await errorOf(runtime.sync())).message).toBe(`double: buffer ${x.buffer.id} bound to x is gone`);
    runtime.write(x.buffer, floats(2));
    expect((await errorOf(runtime.sync())).message).toBe(`buffer ${x.buffer.id} is gone`);
  });

  it('a program that was given back is named', async () => {
    const x = input('x', ['n']);
    const once = await runtime.compile(program('once', { y: scale(x, 3) }));
    const [from, to] = [upload(2), room(1)];
    runtime.run(once, { x: from }, { y: to });
    runtime.release(once);
    expect(await all(to)).toEqual([6]);
    runtime.run(once, { x: from }, { y: to });
    expect((await errorOf(runtime.sync())).message).toBe(`program ${once.id} is gone`);
  });

  it('a program that onnxruntime refuses has the code ENGINE', async () => {
    const byFloat = gatherRows(input('table', ['n', 2]), input('index', ['m'], 'float32'));
    const error = await errorOf(runtime.compile(program('wrong', { byFloat })));
    expect(error.code).toBe('ENGINE');
    expect(error.message).toContain('Gather');
    const one = await runtime.compile(program('right', { y: add(scalar(1), scalar(2)) }));
    const y = view(runtime.alloc('float32', 1), []);
    runtime.run(one, {}, { y });
    expect(await all(y)).toEqual([3]);
  });
});

describe('start and end', () => {
  it('tells what it is', () => {
    expect(runtime.info).toEqual({ provider: 'cpu', threads: 2, version: expect.stringMatching(/^\d+\.\d+/) });
    expect([pair.name, pair.inputs, pair.outputs]).toEqual(['pair', ['x', 'y'], ['sum', 'product']]);
  });

  it.each([0, 1.5, -1, 100_000, Number.NaN])('%d threads are refused', async (threads) => {
    const error = await errorOf(createRuntime({ threads }));
    expect([error.code, error.message]).toEqual(['USAGE', expect.stringContaining(`threads is ${threads};`)]);
  });

  it('close rejects what still waits, and refuses what comes after', async () => {
    const short = await createRuntime({ threads: 1 });
    const buffer = short.upload(floats(1));
    const waiting = [short.read(view(buffer, [1])), short.sync()].map(errorOf);
    await short.close();
    for (const e of await Promise.all(waiting))
      expect([e.code, e.message]).toEqual(['ENGINE', 'the engine was closed']);
    expect(() => short.alloc('float32', 1)).toThrow('the engine was closed');
    expect((await errorOf(short.sync())).message).toBe('the engine was closed');
    await short.close();
  });

  it('a worker that ends rejects the calls that wait for it', async () => {
    const doomed = await createRuntime({ threads: 1 });
    const waiting = [doomed.sync(), doomed.compile(program('p', { y: scale(input('x', ['n']), 2) }))].map(errorOf);
    await workers.at(-1)!.terminate();
    for (const e of await Promise.all(waiting))
      expect([e.code, e.message]).toEqual(['ENGINE', expect.stringContaining('worker ended')]);
    expect((await errorOf(doomed.sync())).message).toContain('worker ended');
    await doomed.close();
  });

  it('a worker that fails rejects them with the cause', async () => {
    const doomed = await createRuntime({ threads: 1 });
    const waiting = errorOf(doomed.sync());
    workers.at(-1)!.emit('error', new Error('out of memory'));
    const error = await waiting;
    expect([error.code, error.message]).toEqual(['ENGINE', "the engine's worker failed: out of memory"]);
    await doomed.close();
  });
});
