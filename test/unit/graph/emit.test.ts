// Every op as onnxruntime computes it, against the float64 reference: forward, and the gradients' graphs.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../../src/engine/index.ts';
import { createRuntime } from '../../../src/engine/node.ts';
import {
  add,
  grad,
  input,
  inputName,
  int8Linear,
  matmul,
  mul,
  type Program,
  program,
  reduceSum,
  reshape,
  scale,
  toOnnx,
  trainingPrograms,
} from '../../../src/graph/index.ts';
import { makeNode } from '../../../src/graph/value.ts';
import { runOnEngine } from '../../helpers/engineRun.ts';
import { opNames } from '../../helpers/opNames.ts';
import { evaluate, evaluateNamed, type Feeds } from '../../helpers/referenceEvaluator.ts';
import { Scene } from '../../helpers/scene.ts';
import { smallBlock } from '../../helpers/smallBlock.ts';
import { build, type Tensor } from '../../helpers/tensor.ts';
import { emitCases } from './emitCases.ts';
import { gradientCases } from './gradientCases.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createRuntime({ threads: 2 });
});
afterAll(() => runtime.close());

/** Largest error, relative to the largest value (or to 0.1, where cancellation leaves less); exact for whole numbers. */
function expectClose(actual: Tensor, expected: Tensor, what: string, tolerance: number): void {
  expect(actual.shape, what).toEqual(expected.shape);
  const allowed = tolerance * Math.max(0.1, ...expected.data.map(Math.abs));
  actual.data.forEach((x, i) => {
    const error = Math.abs(x - expected.data[i]!);
    expect(error, `${what}[${i}]: ${x} against ${expected.data[i]}`).toBeLessThanOrEqual(allowed);
  });
}

async function check(p: Program, feedings: readonly Feeds[], tolerance = 1e-5): Promise<void> {
  const compiled = await runtime.compile(p);
  expect(compiled.inputs).toEqual(p.inputs.map(inputName));
  expect(compiled.outputs).toEqual(Object.keys(p.outputs));
  for (const feeds of feedings) {
    const expected = evaluateNamed(p.outputs, feeds);
    const actual = await runOnEngine(runtime, compiled, p, feeds, expected);
    for (const [name, t] of Object.entries(expected)) {
      expectClose(actual[name]!, t, `${p.name}.${name}`, tolerance);
    }
  }
}

describe('each op on the engine', () => {
  for (const [op, { make, tolerance }] of Object.entries(emitCases)) {
    it(`${op} equals the reference at every size`, async () => {
      const scenes = [5, 1, 2].map((n) => {
        const s = new Scene(n);
        const outputs = Object.entries(make(s, n)).map(([name, v]) => [`${name}.out`, v]);
        return { outputs: Object.fromEntries(outputs), feeds: s.feeds };
      });
      await check(
        program(op, scenes[0]!.outputs),
        scenes.map((s) => s.feeds),
        tolerance,
      );
    });
  }

  // Processors without VNNI add pairs of products in 16 bits, which the extremes overflow.
  it('int8Linear has room for the largest sums', async () => {
    const x = input('x', ['n', 64]);
    const y = int8Linear(x, { w: input('w', [64, 3], 'int8'), scale: input('scale', [3]) });
    const extremes = {
      x: build([3, 64], ([r, i]) => [127, -127, i! % 2 ? 127 : -127][r!]!),
      w: build([64, 3], ([i, o]) => [127, -128, i! % 2 ? 127 : -128][o!]!),
      scale: { shape: [3], data: [1, 0.5, 2] },
    };
    await check(program('extremes', { y }), [extremes]);
  });

  it('there is a case for every op', () => {
    expect(Object.keys(emitCases).sort()).toEqual([...opNames].sort());
  });
});

describe('the graph of each gradient on the engine', () => {
  for (const [op, cases] of Object.entries(gradientCases)) {
    it(`${op} equals the reference`, async () => {
      for (const { outputs, feeds, wrt } of fc.sample(cases, { seed: 7, numRuns: 4 })) {
        const seeded = outputs.map((value, i) => ({ value, seed: input(`seed${i}`, value.shape) }));
        const seeds = evaluate(outputs, feeds).map((t, i) => [
          `seed${i}`,
          { shape: t.shape, data: t.data.map(Math.cos) },
        ]);
        const named = [...grad(seeded, wrt)].map(([v, g]) => [`grad.${inputName(v)}`, g]);
        await check(program(op, Object.fromEntries(named)), [{ ...feeds, ...Object.fromEntries(seeds) }]);
      }
    });
  }
});

describe('programs', () => {
  it('a block, forward and backward, at two sizes', async () => {
    const first = smallBlock(6, 1);
    const pair = trainingPrograms('block', first.outputs, [first.inputs.x, first.inputs.a, first.inputs.b]);
    const blocks = [first, smallBlock(2, 2)].map(({ feeds }) => {
      const made = evaluateNamed(pair.forward.outputs, feeds);
      return { feeds, backward: { ...feeds, ...made, 'grad.y': made.y!, 'grad.keys': made.keys! } };
    });
    await check(
      pair.forward,
      blocks.map((b) => b.feeds),
    );
    await check(
      pair.backward,
      blocks.map((b) => b.backward),
    );
  });

  const x = input('x', ['n', 2]);
  const feeds = { x: { shape: [2, 2], data: [1, 2, 3, 4] } };

  it('hands out one value under two names, and an input as it came', async () => {
    const y = mul(x, x);
    await check(program('names', { y, again: y, copy: x }), [feeds]);
  });

  it('hands out an output of which another is made', async () => {
    const y = mul(x, x);
    await check(program('chain', { z: add(y, x), y }), [feeds]);
  });

  it('keeps names apart, whatever its inputs are called', async () => {
    const names = ['t0', 't1', 'c0', 'c1', 'n0'];
    const inputs = names.map((n) => input(n, [2, 2]));
    const total = inputs.reduce((sum, v, i) => add(sum, scale(v, i + 2)), scale(inputs[0]!, 3));
    await check(program('clash', { total }), [Object.fromEntries(names.map((n) => [n, feeds.x]))]);
  });

  it('is the same bytes each time', () => {
    const bytes = () => toOnnx(program('same', { y: matmul(scale(input('a', ['n', 2]), 2), input('b', [2, 'm'])) }));
    expect(bytes()).toEqual(bytes());
  });

  it('says which op it cannot emit, and which input is not declared', () => {
    const odd = makeNode('odd', [x], {}, [{ dtype: 'float32', shape: ['n', 2] }]).outputs[0]!;
    expect(() => toOnnx(program('p', { odd }))).toThrow('internal: no emission for op odd');
    expect(() => toOnnx({ name: 'p', inputs: [], outputs: { y: mul(x, x) } })).toThrow(
      'internal: p: undeclared input x',
    );
  });

  it('reshapes with several symbols, as long as they can be read from the input', async () => {
    const grid = input('grid', ['a', 4, 'b']);
    const added = reduceSum(grid, [1], false);
    const outputs = { turned: reshape(grid, ['b', 4, 'a']), opened: reshape(added, [1, 'a', 'b']) };
    const fed = (a: number, b: number) => ({ grid: build([a, 4, b], ([i, j, k]) => 100 * i! + 10 * j! + k!) });
    await check(program('grid', outputs), [fed(2, 3), fed(5, 1)]);
    const merged = reshape(grid, ['4*b', 1, 'a']);
    expect(() => toOnnx(program('p', { merged }))).toThrow('has several sizes to infer, 4*b among them');
  });
});
