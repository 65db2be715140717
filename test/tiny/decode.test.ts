// The decode engine on a tiny model: whatever comes together in a pass, and however a sequence is cut up, each row's logits
// are those of the plain pass on its sequence alone.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import type { DecodeEngine, DecodePrecision, InferencePass } from '../../src/runner/index.ts';
import { spoilt } from '../helpers/spoiltRuntime.ts';
import { feed, onePass, plainLogits, plainPass, step, tinyEngines } from '../helpers/tinyDecode.ts';
import { tinyConfigs, tinyModel } from '../helpers/tinyModel.ts';
import { largestDifference, randomSequence, relativeError, startRuntime } from '../helpers/tinyRun.ts';

let runtime: Runtime;
const engines = tinyEngines();
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(async () => {
  await runtime.close();
  await engines.remove();
});

const text = [...randomSequence(100, 3).ids];
/** The numbers are float32, added up in another order. */
const exact = 1e-5;

describe.each(Object.entries(tinyConfigs))('in fp32, %s', (_name, config) => {
  const model = tinyModel(config);
  let engine: DecodeEngine;
  let plain: InferencePass;
  beforeAll(async () => {
    engine = await engines.open(runtime, model, { precision: 'fp32' });
    plain = await plainPass(runtime, model, 'fp32');
  });
  const expected = (length: number) => plainLogits(plain, text.slice(0, length));

  it('a prompt at once', async () => {
    expect(relativeError(await feed(engine, 0, [text]), await expected(100))).toBeLessThan(exact);
  });

  it('token by token, in any slot', async () => {
    for (const slot of [0, 3]) {
      const pieces = text.slice(0, 12).map((id) => [id]);
      expect(relativeError(await feed(engine, slot, pieces), await expected(12))).toBeLessThan(exact);
    }
  });

  it('in pieces, each after what came before', async () => {
    const pieces = [text.slice(0, 7), text.slice(7, 8), text.slice(8, 40), text.slice(40, 41), text.slice(41)];
    expect(relativeError(await feed(engine, 1, pieces), await expected(100))).toBeLessThan(exact);
  });

  it('after each token of a pass that is asked for', async () => {
    await engine.pick({ ...onePass(2, 0, text.slice(0, 20)), keep: [19, 0, 7] }, { k: 1 });
    for (const [row, token] of [19, 0, 7].entries()) {
      expect(relativeError(await engine.row(row), await expected(token + 1))).toBeLessThan(exact);
    }
  });
});

describe('slots', () => {
  const model = tinyModel();
  let engine: DecodeEngine;
  let plain: InferencePass;
  beforeAll(async () => {
    engine = await engines.open(runtime, model, { precision: 'fp32', slots: 5, capacity: 64 });
    plain = await plainPass(runtime, model, 'fp32');
  });
  /** Four sequences of their own lengths. */
  const sequences = [20, 1, 7, 33].map((length, i) => [...randomSequence(length, 10 + i).ids]);

  async function fill() {
    for (const [slot, ids] of sequences.entries()) await engine.extend(onePass(slot, 0, ids));
  }

  it('with different pasts answer in one pass as each alone', async () => {
    await fill();
    for (let round = 0; round < 3; round++) {
      const next = sequences.map((ids, i) => ({ past: ids.length + round, id: 5 + i + 10 * round }));
      const rows = await step(engine, 0, next);
      for (const [i, ids] of sequences.entries()) {
        const whole = [...ids, ...Array.from({ length: round + 1 }, (_, r) => 5 + i + 10 * r)];
        expect(relativeError(rows[i]!, await plainLogits(plain, whole))).toBeLessThan(exact);
      }
    }
  });

  it('that only lie between the others keep what they hold', async () => {
    await fill();
    // Slot 1 takes part without a token of its own: what is written lies behind its token.
    await step(engine, 0, [
      { past: 20, id: 3 },
      { past: 1, id: 0 },
      { past: 7, id: 4 },
    ]);
    await step(engine, 1, [
      { past: 1, id: 9 },
      { past: 8, id: 6 },
    ]);
    const rows = await step(engine, 0, [
      { past: 21, id: 8 },
      { past: 2, id: 11 },
      { past: 9, id: 12 },
      { past: 33, id: 13 },
    ]);
    const whole = [
      [...sequences[0]!, 3, 8],
      [...sequences[1]!, 9, 11],
      [...sequences[2]!, 4, 6, 12],
      [...sequences[3]!, 13],
    ];
    for (const [i, ids] of whole.entries()) {
      expect(relativeError(rows[i]!, await plainLogits(plain, ids))).toBeLessThan(exact);
    }
  });

  it('may be empty, and full', async () => {
    await engine.extend(onePass(3, 0, text.slice(0, 63)));
    const rows = await step(engine, 2, [
      { past: 0, id: text[0]! },
      { past: 63, id: text[63]! },
    ]);
    expect(relativeError(rows[0]!, await plainLogits(plain, text.slice(0, 1)))).toBeLessThan(exact);
    expect(relativeError(rows[1]!, await plainLogits(plain, text.slice(0, 64)))).toBeLessThan(exact);
  });

  it('begin again where a longer sequence was', async () => {
    await engine.extend(onePass(0, 0, text.slice(0, 60)));
    expect(
      relativeError(await feed(engine, 0, [text.slice(30, 40)]), await plainLogits(plain, text.slice(30, 40))),
    ).toBeLessThan(exact);
    // Taking tokens back is no more than a smaller past.
    const pieces = [text.slice(40, 45)];
    const expected = await plainLogits(plain, [...text.slice(30, 33), ...text.slice(40, 45)]);
    expect(relativeError(await feed(engine, 0, pieces, { past: 3 }), expected)).toBeLessThan(exact);
  });

  it('take over what another has, whole or in part, and nothing of it moves', async () => {
    await engine.extend(onePass(0, 0, text.slice(0, 40)));
    engine.copyPrefix(0, 4, 0, 40);
    engine.copyPrefix(0, 2, 0, 25);
    await engine.extend(onePass(0, 10, text.slice(50, 60))); // the source goes on in another way
    const own = await feed(engine, 4, [text.slice(40, 41)], { past: 40 });
    expect(relativeError(own, await plainLogits(plain, text.slice(0, 41)))).toBeLessThan(exact);
    const part = await feed(engine, 2, [text.slice(70, 80)], { past: 25 });
    const expected = await plainLogits(plain, [...text.slice(0, 25), ...text.slice(70, 80)]);
    expect(relativeError(part, expected)).toBeLessThan(exact);
  });

  it('take over what comes behind a common start', async () => {
    await engine.extend(onePass(0, 0, text.slice(0, 30)));
    await engine.extend(onePass(3, 0, text.slice(0, 12)));
    engine.copyPrefix(0, 3, 12, 30);
    engine.copyPrefix(0, 3, 30, 30); // nothing
    const made = await feed(engine, 3, [text.slice(30, 31)], { past: 30 });
    expect(relativeError(made, await plainLogits(plain, text.slice(0, 31)))).toBeLessThan(exact);
  });

  it('give the same in any number of passes on other ranges of them', async () => {
    // More ranges than bindings are kept for.
    await fill();
    for (let round = 0; round < 30; round++) {
      for (let first = 0; first < 5; first++) {
        const count = 1 + (round % (5 - first));
        await engine.extend({
          first,
          pasts: new Array(count).fill(50),
          ids: new Array(count).fill([round]),
          adapters: [],
        });
      }
    }
    const [row] = await step(engine, 3, [{ past: 33, id: 7 }]);
    expect(relativeError(row!, await plainLogits(plain, [...sequences[3]!, 7]))).toBeLessThan(exact);
  });
});

it('nf4 is the nf4 of training', async () => {
  const model = tinyModel();
  const engine = await engines.open(runtime, model, { precision: 'nf4' });
  const plain = await plainPass(runtime, model, 'nf4');
  const expected = await plainLogits(plain, text);
  expect(relativeError(await feed(engine, 1, [text.slice(0, 90), text.slice(90)]), expected)).toBeLessThan(exact);
  expect(relativeError(expected, await plainLogits(await plainPass(runtime, model, 'fp32'), text))).toBeGreaterThan(
    0.02,
  );
});

describe('in fewer bits', () => {
  const model = tinyModel();
  let plain: InferencePass;
  beforeAll(async () => {
    plain = await plainPass(runtime, model, 'fp32');
  });

  // Random weights lose more than trained ones, and there are few of them to even it out.
  it.each([
    ['int8', 0.02],
    ['int4', 0.25],
  ] as const)('%s is near to fp32, in every kind of pass', async (precision, most) => {
    const engine = await engines.open(runtime, model, { precision, slots: 3 });
    const expected = await plainLogits(plain, text.slice(0, 80));
    const ways = {
      'at once': await feed(engine, 0, [text.slice(0, 80)]),
      'by parts': await feed(engine, 1, [text.slice(0, 70), text.slice(70, 78), [text[78]!], [text[79]!]]),
      'through the narrow body': await feed(engine, 2, [text.slice(0, 80)], { narrow: true }),
    };
    for (const [way, made] of Object.entries(ways)) {
      expect(relativeError(made, expected), way).toBeLessThan(most);
      expect(relativeError(made, expected), way).toBeGreaterThan(most / 50);
    }
  });

  it.each(['int8', 'int4'] as const)('%s gives each of several slots what it gives it alone', async (precision) => {
    const engine = await engines.open(runtime, model, { precision, slots: 3 });
    for (const slot of [0, 1, 2]) await engine.extend({ ...onePass(slot, 0, text.slice(slot, 20)), narrow: true });
    const rows = await step(
      engine,
      0,
      [20, 19, 18].map((past, i) => ({ past, id: 30 + i })),
    );
    for (const slot of [0, 1, 2]) {
      const [alone] = await step(engine, slot, [{ past: 20 - slot, id: 30 + slot }]);
      expect(largestDifference(rows[slot]!, alone!)).toBeLessThan(1e-4);
    }
  });

  it.each(['int8', 'int4'] as const)('%s says when a model has no blocks of 32', async (precision) => {
    const odd = tinyModel({ ...tinyConfigs.tied, intermediate_size: 112 });
    await expect(engines.open(runtime, odd, { precision })).rejects.toMatchObject({
      code: 'BLOCKS_UNSUPPORTED',
      message: expect.stringMatching(/down_proj has 112 inputs/),
    });
  });
});

describe('on a machine with wrong kernels', () => {
  const model = tinyModel();
  /** How far answers are from fp32, and what was said. */
  async function off(machine: Runtime, precision: DecodePrecision) {
    const said: string[] = [];
    const engine = await engines.open(machine, model, { precision, warn: (m) => said.push(m) });
    const expected = await plainLogits(await plainPass(runtime, model, 'fp32'), text.slice(0, 72));
    const pieces = [text.slice(0, 70), [text[70]!], [text[71]!]];
    return { off: relativeError(await feed(engine, 0, pieces), expected), said };
  }

  it('int4 lets single rows go in pairs', async () => {
    const paired = await off(
      spoilt(runtime, 4, (rows) => rows === 1),
      'int4',
    );
    expect(paired.said).toEqual([expect.stringMatching(/rows go in pairs/)]);
    expect(paired.off).toBeLessThan(0.25);
  });

  it('int4 in 8 bits has about the error of those', async () => {
    const made = await off(
      spoilt(runtime, 4, () => true),
      'int4',
    );
    expect(made.said).toEqual([expect.stringMatching(/computing in 8 bits|using int8/)]);
    expect(made.off).toBeLessThan(0.03);
  });

  it.each(['int4', 'int8'] as const)('%s in fp32 has none', async (precision) => {
    const made = await off(
      spoilt(runtime, 8, () => true),
      precision,
    );
    expect(made.said).toEqual([expect.stringMatching(/using fp32/)]);
    expect(made.off).toBeLessThan(exact);
  });
});

describe('scores', () => {
  const model = tinyModel();
  // Longer than a chunk.
  const ids = [...randomSequence(150, 5).ids];
  const places = [0, 60, 126, 127, 128, 148];
  /** How far they are from the log-probabilities of each token after those before it, on average. */
  async function off(precision: DecodePrecision, reference: 'fp32' | 'nf4') {
    const plain = await plainPass(runtime, model, reference);
    const engine = await engines.open(runtime, model, { precision, capacity: 256 });
    const scores = await engine.score(ids);
    expect(scores).toHaveLength(149);
    let sum = 0;
    for (const at of places) {
      const logits = await plainLogits(plain, ids.slice(0, at + 1));
      const total = logits.reduce((s, l) => s + Math.exp(l), 0);
      sum += Math.abs(scores[at]! - (logits[ids[at + 1]!]! - Math.log(total)));
    }
    return sum / places.length;
  }

  it.each([
    ['fp32', 'fp32', 1e-5],
    ['nf4', 'nf4', 1e-5],
    ['int8', 'fp32', 0.05],
    ['int4', 'fp32', 0.5],
  ] as const)('in %s are those of %s', async (precision, reference, most) => {
    expect(await off(precision, reference)).toBeLessThan(most);
  });
});

describe('refuses', () => {
  const model = tinyModel();
  it('a context longer than the model has positions', async () => {
    await expect(engines.open(runtime, model, { precision: 'fp32', capacity: 513 })).rejects.toMatchObject({
      code: 'USAGE',
      message: 'context_length is 513; the model has 512 positions',
    });
  });

  it('tokens that the model does not know, and goes on', async () => {
    const engine = await engines.open(runtime, model, { precision: 'fp32' });
    for (const id of [model.config.vocab_size, -1, Number.NaN, 1.5]) {
      await expect(engine.extend(onePass(0, 0, [1, id]))).rejects.toMatchObject({ code: 'TOKEN_RANGE' });
    }
    const plain = await plainPass(runtime, model, 'fp32');
    expect(relativeError(await feed(engine, 0, [text]), await plainLogits(plain, text))).toBeLessThan(exact);
  });

  it('keys beyond the capacity of a slot', async () => {
    const engine = await engines.open(runtime, model, { precision: 'fp32', capacity: 16 });
    await expect(engine.extend(onePass(0, 10, [1, 2, 3, 4, 5, 6, 7]))).rejects.toThrow('key 16 of 16');
  });
});
