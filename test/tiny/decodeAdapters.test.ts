// Several adapters on a decode engine at once: each row of a pass is what the plain pass makes of its own adapter.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import { type LoraConfig, loraLayout } from '../../src/models/index.ts';
import type { AdapterUse, DecodeEngine, InferencePass } from '../../src/runner/index.ts';
import { feed, onePass, plainLogits, plainPass, step, tinyEngines } from '../helpers/tinyDecode.ts';
import { tinyModel } from '../helpers/tinyModel.ts';
import { allModules, lora, randomParams, randomSequence, relativeError, startRuntime } from '../helpers/tinyRun.ts';

const model = tinyModel();
const engines = tinyEngines();
let runtime: Runtime;
let engine: DecodeEngine;
let plain: InferencePass;
beforeAll(async () => {
  runtime = await startRuntime();
  plain = await plainPass(runtime, model, 'fp32');
  engine = await engines.open(runtime, model, { precision: 'fp32', slots: 6 });
});
afterAll(async () => {
  await runtime.close();
  await engines.remove();
});

function adapter(changes: Partial<LoraConfig>, seed: number) {
  const layout = loraLayout(plain.model.config, lora(changes));
  return { layout, params: randomParams(layout, seed) };
}
type TestAdapter = ReturnType<typeof adapter>;

const ids = [...randomSequence(12, 6).ids];
const exact = 1e-5;
const use = (name: string, scale = 1): AdapterUse => ({ name, scale });

/** Each slot gets the text with its own adapter: the first part alone, the last token in a pass with all others. */
async function together(uses: readonly (AdapterUse | undefined)[]) {
  for (const [slot, u] of uses.entries()) await engine.extend(onePass(slot, 0, ids.slice(0, -1), u));
  return step(
    engine,
    0,
    uses.map((u) => ({ past: ids.length - 1, id: ids.at(-1)!, adapter: u })),
  );
}

async function expectRows(uses: readonly (AdapterUse | undefined)[], adapters: readonly (TestAdapter | undefined)[]) {
  const rows = await together(uses);
  for (const [i, a] of adapters.entries()) {
    expect(relativeError(rows[i]!, await plainLogits(plain, ids, a)), `row ${i}`).toBeLessThan(exact);
  }
}

const sets: Record<string, [Partial<LoraConfig>, Partial<LoraConfig>]> = {
  'on all modules and on two': [{}, { r: 5, alpha: 3, targetModules: ['v_proj', 'down_proj'] }],
  'on different modules': [
    { r: 1, targetModules: ['q_proj', 'gate_proj'] },
    { r: 8, alpha: 20, targetModules: ['k_proj', 'o_proj'], useRslora: true },
  ],
  'on the same module': [
    { r: 2, targetModules: ['up_proj'] },
    { r: 4, targetModules: ['up_proj'] },
  ],
};

describe.each(Object.entries(sets))('two adapters %s', (_name, [one, other]) => {
  let a: TestAdapter;
  let b: TestAdapter;
  beforeAll(() => {
    [a, b] = [adapter(one, 21), adapter(other, 22)];
    engine.setAdapter('a', a);
    engine.setAdapter('b', b);
  });
  afterAll(() => {
    engine.setAdapter('a', undefined);
    engine.setAdapter('b', undefined);
  });

  it('and the model itself in one pass', async () => {
    await expectRows([use('a'), undefined, use('b'), use('a')], [a, undefined, b, a]);
  });

  it('make a difference, each another', async () => {
    const [base, first, second] = await together([undefined, use('a'), use('b')]);
    expect(relativeError(first!, base!)).toBeGreaterThan(0.05);
    expect(relativeError(second!, base!)).toBeGreaterThan(0.05);
    expect(relativeError(second!, first!)).toBeGreaterThan(0.05);
  });

  it('count by their factor: half of one is its own with half of alpha, nothing of it the model', async () => {
    const half = {
      params: a.params,
      layout: loraLayout(plain.model.config, { ...a.layout.config, alpha: a.layout.config.alpha / 2 }),
    };
    await expectRows([use('a', 0.5), use('a', 0), use('b')], [half, undefined, b]);
  });

  it('in a prompt of many tokens', async () => {
    const long = [...randomSequence(90, 7).ids];
    const made = await feed(engine, 5, [long.slice(0, 80), long.slice(80)], { adapter: use('b') });
    expect(relativeError(made, await plainLogits(plain, long, b))).toBeLessThan(exact);
  });
});

describe('adapters come and go', () => {
  it('one after the other, under other names and the same, and what is left goes on as it was', async () => {
    const [a, b, c] = [adapter({}, 1), adapter({ r: 2, targetModules: ['q_proj'] }, 2), adapter({ r: 7 }, 3)];
    await expectRows([undefined], [undefined]);
    engine.setAdapter('first', a);
    await expectRows([use('first'), undefined], [a, undefined]);
    engine.setAdapter('second', b);
    await expectRows([use('first'), use('second')], [a, b]);
    engine.setAdapter('first', undefined);
    await expectRows([undefined, use('second')], [undefined, b]);
    engine.setAdapter('first', c);
    await expectRows([use('first'), use('second'), undefined], [c, b, undefined]);
    engine.setAdapter('second', c); // replaced
    await expectRows([use('second'), use('first')], [c, c]);
    engine.setAdapter('first', undefined);
    engine.setAdapter('second', undefined);
    await expectRows([undefined, undefined], [undefined, undefined]);
  });

  it('while a sequence is there: it goes on with what it has', async () => {
    const a = adapter({ targetModules: allModules }, 4);
    await engine.extend(onePass(1, 0, ids.slice(0, 5)));
    engine.setAdapter('late', a);
    const made = await feed(engine, 1, [ids.slice(5)], { past: 5 });
    expect(relativeError(made, await plainLogits(plain, ids))).toBeLessThan(exact);
    engine.setAdapter('late', undefined);
  });

  it('and scores are those with the adapter', async () => {
    const a = adapter({ r: 3 }, 9);
    engine.setAdapter('a', a);
    const scores = await engine.score(ids, use('a'));
    const logits = await plainLogits(plain, ids.slice(0, -1), a);
    const sum = logits.reduce((s, l) => s + Math.exp(l), 0);
    expect(scores.at(-1)! - (logits[ids.at(-1)!]! - Math.log(sum))).toBeCloseTo(0, 4);
    engine.setAdapter('a', undefined);
  });
});

it.each([
  ['nf4', 'nf4', exact],
  ['int8', 'fp32', 0.03],
  ['int4', 'fp32', 0.3],
] as const)('on a model in %s an adapter is added as on one in %s', async (precision, reference, most) => {
  const quantised = await engines.open(runtime, model, { precision, slots: 2 });
  const a = adapter({ r: 4 }, 12);
  quantised.setAdapter('a', a);
  const expected = await plainLogits(await plainPass(runtime, model, reference), ids, a);
  // At once goes through the body for many rows where there is one.
  for (const pieces of [[ids], ids.map((id) => [id])]) {
    expect(relativeError(await feed(quantised, 0, pieces, { adapter: use('a') }), expected)).toBeLessThan(most);
  }
  expect(relativeError(await plainLogits(plain, ids), expected)).toBeGreaterThan(0.3);
});
