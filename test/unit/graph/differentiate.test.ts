// The walk that applies the gradient table, and the cut of its result into a forward and a backward program.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import {
  add,
  causalMask,
  crossEntropy,
  cutBackward,
  grad,
  input,
  inputName,
  int8Linear,
  isInput,
  matmul,
  mul,
  type Program,
  program,
  quantizeRows,
  rmsNorm,
  rotary,
  scalar,
  scale,
  sigmoid,
  silu,
  softmax,
  softmaxMatmul,
  topological,
  trainingPrograms,
  unpackInt4,
  type Value,
} from '../../../src/graph/index.ts';
import { evaluate, evaluateNamed, type Feeds } from '../../helpers/referenceEvaluator.ts';
import { smallBlock } from '../../helpers/smallBlock.ts';
import { randomTensor, type Tensor } from '../../helpers/tensor.ts';

const vector = (...data: number[]): Tensor => ({ shape: [data.length], data });
const ones = (value: Value) => ({ value, seed: input('ones', value.shape) });
const opsOf = (values: Iterable<Value>) => topological(values).map((n) => n.op);
const inputNames = (p: Program) => p.inputs.map(inputName);

/** Feeds of a program out of everything that is known; what the program does not ask for is left away. */
const feedsOf = (p: Program, all: Feeds): Feeds => Object.fromEntries(inputNames(p).map((name) => [name, all[name]!]));

describe('grad', () => {
  const x = input('x', [2]);
  const w = input('w', [2]);
  const feeds = { x: vector(3, -2), w: vector(5, 7), ones: vector(1, 1) };
  const gradientOf = (value: Value, wrt: Value) => evaluate([grad([ones(value)], [wrt]).get(wrt)!], feeds)[0]!.data;

  it('sums over all uses of a value', () => {
    expect(gradientOf(mul(x, x), x)).toEqual([6, -4]);
    expect(gradientOf(add(mul(x, x), add(x, x)), x)).toEqual([8, -2]);
    const shared = mul(x, w);
    expect(gradientOf(mul(shared, shared), x)).toEqual([150, -196]);
  });

  it('sums over all outputs, each with its seed', () => {
    const [p, q] = [input('p', [2]), input('q', [2])];
    const made = grad([{ value: mul(x, w), seed: p }, { value: scale(x, 10), seed: q }], [x]).get(x)!; // biome-ignore format: one line
    expect(evaluate([made], { ...feeds, p: vector(1, 2), q: vector(1, -1) })[0]!.data).toEqual([15, 4]);
  });

  it('takes values in the middle of a graph', () => {
    const middle = mul(x, x);
    const made = grad([ones(mul(middle, w))], [middle, x]);
    expect(evaluate([made.get(middle)!, made.get(x)!], feeds).map((t) => t.data)).toEqual([
      [5, 7],
      [30, -28],
    ]);
  });

  it('is the seed for an output that is itself wanted, plus what other outputs add', () => {
    const seed = input('seed', [2]);
    expect(grad([{ value: x, seed }], [x]).get(x)).toBe(seed);
    const made = grad([{ value: x, seed }, ones(mul(x, w))], [x]).get(x)!;
    expect(evaluate([made], { ...feeds, seed: vector(100, 200) })[0]!.data).toEqual([105, 207]);
  });

  it('has no entry for what nothing depends on', () => {
    const made = grad([ones(mul(x, x))], [x, w]);
    expect([...made.keys()]).toEqual([x]);
  });

  it('computes nothing for inputs that are not wanted', () => {
    const [rows, a, b] = [input('rows', ['n', 4]), input('a', [4, 5]), input('b', [5, 3])];
    const hidden = silu(matmul(rows, a));
    const y = matmul(hidden, b);
    const seed = input('seed', y.shape);
    const added = (wrt: Value[]) => {
      const forward = new Set(topological([y, seed]));
      return topological(grad([{ value: y, seed }], wrt).values()).filter((n) => !forward.has(n)).map((n) => n.op); // biome-ignore format: one line
    };
    expect(added([b])).toEqual(['matmul']);
    // Through silu: sigmoid, y s, y - y s, s + ..., times g; then one product each.
    const through = ['matmul', 'sigmoid', 'mul', 'sub', 'add', 'mul'];
    expect(added([a])).toEqual([...through, 'matmul']);
    expect(added([rows])).toEqual([...through, 'matmul']);
    expect(added([a, b]).length).toBe(through.length + 2);
  });

  it('counts no work for a broadcast operand that is not wanted', () => {
    const made = grad([{ value: add(input('m', [3, 2]), x), seed: input('seed', [3, 2]) }], [x]);
    expect(opsOf(made.values()).filter((op) => op !== 'input')).toEqual(['reduceSum']);
  });

  it('names the op that has no gradient', () => {
    const mask = causalMask(x, w);
    expect(() => grad([ones(mask)], [x])).toThrow('causalMask has no gradient');
    const { scale: scales } = quantizeRows(input('rows', [2, 3]));
    const rows = scales.node.inputs[0]!;
    expect(() => grad([ones(scales)], [rows])).toThrow('quantizeRows has no gradient');
  });

  it('does not mind such an op beside the path', () => {
    const scores = input('scores', [2, 2]);
    const y = softmax(add(scores, causalMask(x, w)));
    expect([...grad([ones(y)], [scores]).keys()]).toEqual([scores]);
  });

  it('refuses to leave a gradient out silently', () => {
    const rows = input('rows', [3, 2]);
    expect(() => grad([ones(rmsNorm(rows, w, 1e-5).y)], [w])).toThrow('rmsNorm has no gradient for its input 1');
    expect(() => grad([ones(rmsNorm(rows, w, 1e-5).inv)], [rows])).toThrow('rmsNorm has no gradient through');
    const both = rmsNorm(rows, w, 1e-5);
    expect(() => grad([ones(both.y), ones(both.inv)], [rows])).toThrow('rmsNorm has no gradient through');
    const mixed = softmaxMatmul(rows, input('values', [2, 4]));
    expect(() => grad([ones(mixed.probs)], [rows])).toThrow('softmaxMatmul has no gradient through');
    const weights = input('weights', [3, 1]);
    const loss = crossEntropy(rows, input('labels', [3, 1], 'int64'), weights);
    expect(() => grad([ones(loss.loss)], [weights])).toThrow('crossEntropy has no gradient for its input 2');
    expect(() => grad([ones(loss.probs)], [rows])).toThrow('crossEntropy has no gradient through');
    const cos = input('cos', [9, 1]);
    const turned = rotary(rows, input('at', [1, 3], 'int64'), cos, input('sin', [9, 1]));
    expect(() => grad([ones(turned)], [cos])).toThrow('rotary has no gradient for its input 2');
    const s = input('s', [4]);
    const product = int8Linear(rows, { w: input('w8', [2, 4], 'int8'), scale: s }, { backward: 'transposed' });
    expect(() => grad([ones(product)], [s])).toThrow('int8Linear has no gradient for its input 2');
  });
});

describe('trainingPrograms', () => {
  const expectEqual = (actual: Record<string, Tensor>, expected: Record<string, Tensor>) => {
    expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, t] of Object.entries(expected)) {
      expect(actual[name]!.shape).toEqual(t.shape);
      t.data.forEach((x, i) => {
        expect(Math.abs(actual[name]!.data[i]! - x)).toBeLessThanOrEqual(1e-12 * (1 + Math.abs(x)));
      });
    }
  };

  it('forward, then backward, gives what the gradient gives in one piece', () => {
    const wanted = fc.subarray(['x', 'a', 'b'] as const, { minLength: 1 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer(),
        wanted,
        fc.boolean(),
        (tokens, seed, names, recompute) => {
          const block = smallBlock(tokens, seed);
          const wrt = names.map((n) => block.inputs[n]);
          const { uniform } = createRng(seed);
          const outputs = evaluateNamed(block.outputs, block.feeds);
          const seeds = Object.fromEntries(
            Object.entries(outputs).map(([name, t]) => [`grad.${name}`, randomTensor(t.shape, uniform)]),
          );
          const seeded = Object.entries(block.outputs).map(([name, value]) => ({
            value,
            seed: input(`grad.${name}`, value.shape),
          }));
          const direct = [...grad(seeded, wrt)].map(([v, g]) => [`grad.${inputName(v)}`, g] as const);
          const expected = evaluateNamed(Object.fromEntries(direct), { ...block.feeds, ...seeds });

          const pair = trainingPrograms('block', block.outputs, wrt, { recompute });
          const passed = evaluateNamed(pair.forward.outputs, feedsOf(pair.forward, block.feeds));
          expectEqual({ y: passed.y!, keys: passed.keys! }, outputs);
          // Nothing reaches the backward program but what it declares.
          const known = { ...block.feeds, ...seeds, ...passed };
          expectEqual(evaluateNamed(pair.backward.outputs, feedsOf(pair.backward, known)), expected);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('saves only what the backward pass reads, and never what is cheap to do again', () => {
    const block = smallBlock(3, 1);
    const pair = trainingPrograms('block', block.outputs, [block.inputs.x, block.inputs.a]);
    expect(pair.saved.size).toBeGreaterThan(0);
    expect(Object.keys(pair.forward.outputs)).toEqual(['y', 'keys', ...pair.saved.keys()]);
    expect(new Set(pair.saved.values()).size).toBe(pair.saved.size);
    const read = new Set(inputNames(pair.backward));
    for (const [name, value] of pair.saved) {
      expect(read).toContain(name);
      expect(['addmm', 'matmul', 'rotary', 'softmax', 'add']).toContain(value.node.op);
    }
    const forward = new Set(['x', 'a', 'b', 'w', 'norm', 'cos', 'sin', 'at', 'grad.y', 'grad.keys']);
    expect([...read].filter((name) => !pair.saved.has(name) && !forward.has(name))).toEqual([]);
  });

  it('saves nothing for a gradient that needs no forward value', () => {
    const [x, w] = [input('x', [2]), input('w', [2])];
    const pair = trainingPrograms('sum', { y: add(x, w) }, [x, w]);
    expect(pair.saved.size).toBe(0);
    expect(inputNames(pair.backward)).toEqual(['grad.y']);
  });

  it('saves the input of a cheap op, not its result', () => {
    const [x, a, b] = [input('x', ['n', 2]), input('a', [2, 3]), input('b', [3, 2])];
    const hidden = matmul(x, a);
    const pair = trainingPrograms('mlp', { y: matmul(silu(hidden), b) }, [b]);
    expect([...pair.saved.values()]).toEqual([hidden]);
    expect(opsOf(Object.values(pair.backward.outputs)).sort()).toEqual(['input', 'input', 'matmul', 'silu']);
  });

  it('computes a product again that says so', () => {
    const [x, a, b] = [input('x', ['n', 2]), input('a', [2, 3]), input('b', [3, 2])];
    const turned = matmul(x, a, { again: true });
    const pair = trainingPrograms('thin', { y: matmul(turned, b) }, [b]);
    expect(pair.saved.size).toBe(0);
    expect(inputNames(pair.backward).sort()).toEqual(['a', 'grad.y', 'x']);
  });

  it('unpacks 4 bits again instead of keeping what they become', () => {
    const packed = input('packed', [8, 3], 'uint8');
    const codes = unpackInt4(packed, input('steps', [2, 3], 'int8'));
    const [x, scale] = [input('x', ['n', 16]), input('scale', [3])];
    const y = int8Linear(x, { w: codes, scale }, { backward: 'transposed' });
    const pair = trainingPrograms('product', { y }, [x]);
    expect(pair.saved.size).toBe(0);
    expect(inputNames(pair.backward).sort()).toEqual(['grad.y', 'packed', 'scale', 'steps']);
  });

  it('recompute saves nothing: the backward program starts again from the inputs', () => {
    const block = smallBlock(3, 1);
    const pair = trainingPrograms('block', block.outputs, [block.inputs.x], { recompute: true });
    expect(pair.saved.size).toBe(0);
    expect(Object.keys(pair.forward.outputs)).toEqual(['y', 'keys']);
    expect(inputNames(pair.backward)).not.toContain('saved0');
    expect(opsOf(Object.values(pair.backward.outputs))).toContain('softmax');
  });

  it('finish changes the gradients before the cut', () => {
    const x = input('x', ['n', 2]);
    const y = mul(x, x);
    const pair = trainingPrograms('square', { y }, [x], {
      finish(grads) {
        expect([...grads.keys()]).toEqual(['grad.x']);
        grads.set('grad.x', add(grads.get('grad.x')!, input('residual', x.shape)));
      },
    });
    const two = (a: number, b: number): Tensor => ({ shape: [1, 2], data: [a, b] });
    const feeds = { x: two(3, 4), 'grad.y': two(1, 10), residual: two(100, 200) };
    expect(evaluateNamed(pair.backward.outputs, feeds)['grad.x']!.data).toEqual([106, 280]);
    expect(inputNames(pair.forward)).toEqual(['x']);
  });

  it('names its programs and their ends', () => {
    const [x, w] = [input('x', [2]), input('w', [2])];
    const pair = trainingPrograms('layer', { y: mul(x, sigmoid(w)) }, [x]);
    expect([pair.forward.name, pair.backward.name]).toEqual(['layer.forward', 'layer.backward']);
    expect(inputNames(pair.backward).sort()).toEqual(['grad.y', 'w']);
    expect(Object.keys(pair.backward.outputs)).toEqual(['grad.x']);
  });
});

describe('cutBackward', () => {
  it('leaves the forward graph alone and makes each value once', () => {
    const [x, w] = [input('x', ['n', 2]), input('w', [2, 2])];
    const y = softmax(matmul(x, w));
    const before = topological([y]);
    const g = grad([{ value: y, seed: input('seed', y.shape) }], [x]).get(x)!;
    const cut = cutBackward([y], new Map([['g', g], ['again', g]])); // biome-ignore format: one line
    expect(topological([y])).toEqual(before);
    expect([...cut.saved.values()]).toEqual([y]);
    expect(cut.results.get('again')).toBe(cut.results.get('g'));
    const forwardNodes = new Set(before.filter((n) => n.op !== 'input'));
    expect(topological(cut.results.values()).filter((n) => forwardNodes.has(n))).toEqual([]);
  });

  it('keeps shapes and types of what is saved', () => {
    const { codes } = quantizeRows(input('x', ['n', 4]));
    const cut = cutBackward([codes], new Map([['out', codes]]));
    const made = cut.results.get('out')!;
    expect([isInput(made), made.dtype, made.shape]).toEqual([true, 'int8', ['n', 4]]);
  });
});

describe('program', () => {
  it('declares the inputs that its outputs use', () => {
    const [x, w, unused] = [input('x', [2]), input('w', [2]), input('unused', [2])];
    expect(mul(x, unused).shape).toEqual([2]);
    expect(inputNames(program('p', { y: mul(x, w), z: scalar(1) }))).toEqual(['x', 'w']);
  });

  it('refuses two different inputs of one name', () => {
    const twice = add(input('x', [2]), input('x', [2]));
    expect(() => program('p', { twice })).toThrow('internal: p: two inputs share a name among x,x');
  });

  it('refuses an output with the name of an input', () => {
    const x = input('x', [2]);
    expect(() => program('p', { x: mul(x, x) })).toThrow('internal: p: x is both an input and an output');
    expect(() => program('p', { x })).toThrow('x is both');
  });
});
