// A cache that lives across runs: its new keys and values are written into the memory it is read from.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import { type CompiledProgram, type Runtime, type View, view } from '../../../src/engine/index.ts';
import { createRuntime } from '../../../src/engine/node.ts';
import { cachedAttention, input, program } from '../../../src/graph/index.ts';
import { evaluateNamed } from '../../helpers/referenceEvaluator.ts';
import { build, randomTensor, size, type Tensor } from '../../helpers/tensor.ts';

const [heads, kvHeads, headDim, capacity] = [4, 2, 16, 12];
const width = (heads + 2 * kvHeads) * headDim;
const cacheShape = ['batch', kvHeads, 'capacity', headDim];

const outputs = cachedAttention({
  qkv: [input('qkv', ['batch', 'tokens', width])],
  pastK: input('pastK', cacheShape),
  pastV: input('pastV', cacheShape),
  lastKey: input('last', ['batch'], 'int32'),
  total: input('total', [], 'int32'),
  cos: input('cos', ['positions', headDim / 2]),
  sin: input('sin', ['positions', headDim / 2]),
  heads,
  kvHeads,
});

let runtime: Runtime;
let attention: CompiledProgram;
beforeAll(async () => {
  runtime = await createRuntime({ threads: 2 });
  attention = await runtime.compile(program('attention', outputs));
});
afterAll(() => runtime.close());

const { uniform } = createRng(11);
const angle = ([position, i]: number[]) => position! / 10 ** (i! / 4);
const cos = build([capacity, headDim / 2], (i) => Math.cos(angle(i)));
const sin = build([capacity, headDim / 2], (i) => Math.sin(angle(i)));

const floats = (t: Tensor): View => view(runtime.upload(Float32Array.from(t.data)), t.shape);
const integers = (shape: number[], ...values: number[]) => view(runtime.upload(Int32Array.from(values)), shape);
const contents = async (v: View): Promise<Tensor> => ({
  shape: v.shape,
  data: [...((await runtime.read(v)) as Float32Array)],
});

function expectClose(actual: Tensor, expected: Tensor): void {
  expect(actual.shape).toEqual(expected.shape);
  const error = Math.max(...actual.data.map((x, i) => Math.abs(x - expected.data[i]!)));
  expect(error).toBeLessThan(1e-5);
}

/** A device's cache, which each run reads and writes, and the reference's next to it. */
function makeCache(batch: number) {
  const shape = [batch, kvHeads, capacity, headDim];
  const [k, v] = [randomTensor(shape, uniform), randomTensor(shape, uniform)];
  return { device: { k: floats(k), v: floats(v) }, reference: { k, v } };
}

/** One run in place; results and the whole cache must be those of the reference, what lies behind the keys included. */
async function step(cache: ReturnType<typeof makeCache>, qkv: Tensor, last: number[]): Promise<Tensor> {
  const { device, reference } = cache;
  const [batch, tokens] = qkv.shape as [number, number];
  const total = Math.max(...last) + 1;
  const y = view(runtime.alloc('float32', size([batch, tokens, heads * headDim])), [batch, tokens, heads * headDim]);
  const feeds = {
    qkv: floats(qkv),
    pastK: device.k,
    pastV: device.v,
    last: integers([batch], ...last),
    total: integers([], total),
    cos: floats(cos),
    sin: floats(sin),
  };
  runtime.run(attention, feeds, { y, ...device });
  const expected = evaluateNamed(outputs, {
    qkv,
    pastK: reference.k,
    pastV: reference.v,
    last: { shape: [batch], data: last },
    total: { shape: [], data: [total] },
    cos,
    sin,
  });
  cache.reference = { k: expected.k!, v: expected.v! };
  const made = await contents(y);
  expectClose(made, expected.y!);
  expectClose(await contents(device.k), expected.k!);
  expectClose(await contents(device.v), expected.v!);
  return made;
}

/** Tokens `from` to `to` of a sequence. */
const cut = (t: Tensor, from: number, to: number): Tensor => {
  const [, , columns] = t.shape as [number, number, number];
  return { shape: [1, to - from, columns], data: t.data.slice(from * columns, to * columns) };
};

describe('attention over a cache in place', () => {
  it('is the same for a sequence as a whole, in chunks and token by token', async () => {
    const sequence = randomTensor([1, capacity, width], uniform);
    const whole = await step(makeCache(1), sequence, [capacity - 1]);
    const ways = [
      [5, 9, 12],
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
      [2, 3, 4, 11, 12],
    ];
    for (const ends of ways) {
      const cache = makeCache(1);
      let begin = 0;
      for (const end of ends) {
        expectClose(await step(cache, cut(sequence, begin, end), [end - 1]), cut(whole, begin, end));
        begin = end;
      }
    }
  });

  it('each sequence of a batch goes on where it is', async () => {
    const cache = makeCache(3);
    const last = [0, 6, 3];
    for (let i = 0; i < 5; i++) {
      await step(cache, randomTensor([3, 1, width], uniform), last);
      last.forEach((l, b) => {
        last[b] = l + 1;
      });
    }
  });

  it('a sequence may go back: what was behind it is written over', async () => {
    const cache = makeCache(2);
    await step(cache, randomTensor([2, 1, width], uniform), [8, 4]);
    await step(cache, randomTensor([2, 1, width], uniform), [2, 5]);
    await step(cache, randomTensor([2, 1, width], uniform), [3, 0]);
  });
});

describe('a cache in 8 bits', () => {
  const columns = kvHeads * headDim;
  const scales = build([columns], ([i]) => (i! % 3 ? 0.025 : 0.03));
  const held = (name: string) => input(name, cacheShape, 'int8');
  const quantised = cachedAttention({
    qkv: [input('qkv', ['batch', 'tokens', width])],
    pastK: held('pastK'),
    pastV: held('pastV'),
    scales: { k: input('kScale', [columns]), v: input('vScale', [columns]) },
    lastKey: input('last', ['batch'], 'int32'),
    total: input('total', [], 'int32'),
    cos: input('cos', ['positions', headDim / 2]),
    sin: input('sin', ['positions', headDim / 2]),
    heads,
    kvHeads,
  });
  const scaleAt = (h: number, i: number) => scales.data[h * headDim + i]!;

  it.each([
    ['a prompt', 1, 5, [4]],
    ['a chunk with a past', 1, 3, [9]],
    ['single tokens with different pasts', 3, 1, [0, 11, 6]],
  ] as const)('holds the nearest codes, and answers from them: %s', async (_name, batch, tokens, last) => {
    const compiled = await runtime.compile(program('attention8', quantised));
    const shape = [batch, kvHeads, capacity, headDim];
    const before = [0, 1].map(() => Int8Array.from({ length: size(shape) }, () => Math.round(80 * uniform())));
    const [k, v] = before.map((codes) => view(runtime.upload(codes.slice()), shape)) as [View, View];
    const qkv = randomTensor([batch, tokens, width], uniform);
    const total = Math.max(...last) + 1;
    const y = view(runtime.alloc('float32', batch * tokens * heads * headDim), [batch, tokens, heads * headDim]);
    const shared = { last: integers([batch], ...last), total: integers([], total), cos: floats(cos), sin: floats(sin) };
    const feeds = { ...shared, qkv: floats(qkv), pastK: k, pastV: v, kScale: floats(scales), vScale: floats(scales) };
    runtime.run(compiled, feeds, { y, k, v });

    const values = (codes: Int8Array) =>
      build(shape, ([b, h, p, i]) => {
        return codes[((b! * kvHeads + h!) * capacity + p!) * headDim + i!]! * scaleAt(h!, i!);
      });
    const expected = evaluateNamed(outputs, {
      qkv,
      pastK: values(before[0]!),
      pastV: values(before[1]!),
      last: { shape: [batch], data: [...last] },
      total: { shape: [], data: [total] },
      cos,
      sin,
    });
    for (const [made, wanted] of [
      [k, expected.k!],
      [v, expected.v!],
    ] as const) {
      const data = values((await runtime.read(made)) as Int8Array).data;
      const codeSteps = data.map((x, at) => {
        const [h, i] = [Math.floor(at / (capacity * headDim)) % kvHeads, at % headDim];
        return Math.abs(x - wanted.data[at]!) / scaleAt(h, i);
      });
      expect(Math.max(...codeSteps)).toBeLessThan(0.501);
    }
    const error = (await contents(y)).data.map((x, i) => Math.abs(x - expected.y!.data[i]!));
    expect(Math.max(...error)).toBeLessThan(0.03);
  });
});
