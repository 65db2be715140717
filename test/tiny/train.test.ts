// The training loop as a whole: reproducible, the same however a step is packed, and well-behaved when things go wrong.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Example } from '../../src/data/index.ts';
import type { Runtime } from '../../src/engine/index.ts';
import type { ResidentModel } from '../../src/runner/index.ts';
import { type StepReport, type TrainEvent, type TrainOptions, type TrainResult, train } from '../../src/train/index.ts';
import { referenceLoss } from '../helpers/referenceLlama.ts';
import { tinyModel } from '../helpers/tinyModel.ts';
import { countTargets, loadTiny, lora, randomSequence, relativeError, startRuntime } from '../helpers/tinyRun.ts';

let runtime: Runtime;
let model: ResidentModel;
const tiny = tinyModel();
beforeAll(async () => {
  runtime = await startRuntime();
  model = (await loadTiny(runtime, tiny, { packTokens: 128 })).resident;
});
afterAll(() => runtime.close());

const example = (length: number, seed: number): Example => {
  const promptLength = 3;
  return { ...randomSequence(length, seed, promptLength), promptLength, truncated: false, line: 100 + seed };
};
const examples = [9, 6, 12, 7, 10].map(example);
const heldOut = [example(8, 50)];

/** A short run; the events come back with the result. */
async function run(changes: Partial<TrainOptions> = {}) {
  const events: TrainEvent[] = [];
  const result = await train({
    model,
    examples,
    heldOut: [],
    lora: lora({ targetModules: ['q_proj', 'v_proj', 'down_proj'] }),
    batchSize: 2,
    packLength: 64,
    epochs: 2,
    learningRate: 1e-2,
    schedule: 'constant',
    warmupSteps: 0,
    weightDecay: 0,
    maxGradNorm: 0,
    seed: 1,
    evalSteps: 0,
    onEvent: (e) => events.push(e),
    ...changes,
  });
  return { ...result, events, steps: result.steps, reports: events.filter((e) => e.type === 'step') };
}

const withDropout = lora({ targetModules: ['v_proj', 'up_proj'], dropout: 0.2 });

describe('the seed', () => {
  let first: Awaited<ReturnType<typeof run>>;
  beforeAll(async () => {
    first = await run({ lora: withDropout });
  });

  it('makes a run repeat bit for bit, dropout included', async () => {
    const again = await run({ lora: withDropout });
    expect(again.params).toEqual(first.params);
    expect(again.losses).toEqual(first.losses);
  });

  it('makes another run with another seed', async () => {
    const other = await run({ lora: withDropout, seed: 2 });
    expect(relativeError(other.params, first.params)).toBeGreaterThan(0.1);
  });
});

describe('a run', () => {
  let result: Awaited<ReturnType<typeof run>>;
  beforeAll(async () => {
    result = await run({ heldOut, evalSteps: 2, schedule: 'linear', warmupSteps: 2, epochs: 3 });
  });

  it('starts at the loss of the model without an adapter', () => {
    const before = referenceLoss(tiny, heldOut) / countTargets(heldOut);
    expect(result.heldOutBefore).toBeCloseTo(before, 4);
  });

  it('learns', async () => {
    const learnt = await run({ epochs: 12 });
    expect(learnt.losses.at(-1)!).toBeLessThan(0.7 * learnt.losses[0]!);
  });

  it('tells what it does, in order', () => {
    const told = result.events.map((e) => (e.type === 'heldOut' || e.type === 'step' ? `${e.type} ${e.step}` : e.type));
    const steps = [1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((n) => (n % 2 ? [`step ${n}`] : [`step ${n}`, `heldOut ${n}`]));
    expect(told).toEqual(['start', 'heldOut 0', ...steps, 'heldOut 9']);
    expect(result.events[0]).toMatchObject({ totalSteps: 9, trainable: result.layout.size, examples: 5 });
    expect(result).toMatchObject({ steps: 9, stopped: false });
    expect(result.heldOutAfter).toBe((result.events.at(-1) as { loss: number }).loss);
  });

  it('reports the size of every step', () => {
    for (let epoch = 0; epoch < 3; epoch++) {
      const own: StepReport[] = result.reports.slice(epoch * 3, epoch * 3 + 3);
      const sum = (key: 'examples' | 'tokens' | 'targets') => own.reduce((n, r) => n + r[key], 0);
      expect([sum('examples'), sum('tokens'), sum('targets')]).toEqual([5, 44, countTargets(examples)]);
    }
    expect(result.losses).toEqual(result.reports.map((r) => r.loss));
  });

  it('warms up from 0 and decays to 0', () => {
    const rates = result.reports.map((r) => r.learningRate / 1e-2);
    [0, 1 / 2, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7].forEach((rate, i) => {
      expect(rates[i]).toBeCloseTo(rate, 9);
    });
  });

  it('ends after max_steps, or in the middle of an epoch', async () => {
    expect((await run({ maxSteps: 2 })).steps).toBe(2);
    expect((await run({ epochs: 0.5 })).steps).toBe(2);
  });
});

it('gives back every program and buffer that it took', async () => {
  const held = { programs: new Set<number>(), buffers: new Set<number>() };
  const counting: Runtime = {
    ...runtime,
    async compile(p) {
      const made = await runtime.compile(p);
      held.programs.add(made.id);
      return made;
    },
    release(p) {
      held.programs.delete(p.id);
      runtime.release(p);
    },
    alloc(dtype, length) {
      const made = runtime.alloc(dtype, length);
      held.buffers.add(made.id);
      return made;
    },
    free(b) {
      held.buffers.delete(b.id);
      runtime.free(b);
    },
  };
  const compiled: number[] = [];
  const counted = { ...model, runtime: counting };
  const onEvent = () => compiled.push(held.programs.size);
  await run({ model: counted, heldOut, lora: withDropout, onEvent });
  expect(Math.max(...compiled)).toBeGreaterThan(10);
  expect(held).toEqual({ programs: new Set(), buffers: new Set() });
  await expect(run({ model: counted, examples: [] })).rejects.toMatchObject({ code: 'NO_EXAMPLES' });
  expect(held).toEqual({ programs: new Set(), buffers: new Set() });
});

it('gives the same whether a step is one pack or many', async () => {
  const whole = await run({ batchSize: 5, packLength: 64, epochs: 3 });
  const pieces = await run({ batchSize: 5, packLength: 12, epochs: 3 });
  expect(whole.events[0]).toMatchObject({ packs: 1 });
  expect((pieces.events[0] as { packs: number }).packs).toBeGreaterThan(3);
  pieces.losses.forEach((loss, i) => {
    expect(Math.abs(loss / whole.losses[i]! - 1)).toBeLessThan(1e-5);
  });
  expect(relativeError(pieces.params, whole.params)).toBeLessThan(1e-4);
});

it('clips after reporting: the norm told is the one before', async () => {
  const free = await run({ maxSteps: 1 });
  const clipped = await run({ maxSteps: 1, maxGradNorm: 1e-9 });
  expect(clipped.reports[0]!.gradNorm).toBe(free.reports[0]!.gradNorm);
  // Adam divides the scale away, unless it falls below its epsilon, as here.
  expect(relativeError(clipped.params, free.params)).toBeGreaterThan(1e-3);
});

describe('a signal', () => {
  const stopAfter = async (steps: number): Promise<TrainResult> => {
    const stop = new AbortController();
    const onEvent = (e: TrainEvent) => {
      if (e.type === 'step' && e.step === steps) stop.abort();
    };
    return run({ signal: stop.signal, onEvent });
  };

  it('ends the run after the step in progress, with what was learnt so far', async () => {
    const stopped = await stopAfter(2);
    expect(stopped).toMatchObject({ steps: 2, stopped: true });
    expect(stopped.params).toEqual((await run({ maxSteps: 2 })).params);
  });

  it('in the last step stops nothing', async () => {
    expect(await stopAfter(6)).toMatchObject({ steps: 6, stopped: false });
  });

  it('before the start leaves no step', async () => {
    expect(await run({ signal: AbortSignal.abort() })).toMatchObject({ steps: 0, stopped: true, losses: [] });
  });
});

describe('numbers that are not finite', () => {
  /** The gradients of the given steps (1-based, one pack each) are damaged on their way back. */
  const damaged = (steps: readonly number[]): ResidentModel => {
    let pass = 0;
    return {
      ...model,
      runtime: {
        ...runtime,
        async read(view) {
          const data = await runtime.read(view);
          if (data.length > 1000 && steps.includes(++pass)) (data as Float32Array)[7] = NaN;
          return data;
        },
      },
    };
  };

  it('make a step be skipped, with its rows named, and the run goes on', async () => {
    const result = await run({ model: damaged([2, 3, 5]) });
    const skipped = result.events.filter((e) => e.type === 'skipped');
    expect(skipped.map((e) => e.step)).toEqual([2, 3, 5]);
    for (const e of skipped) expect(e.reason).toMatch(/NaN.*lines 1\d\d/);
    expect(result).toMatchObject({ steps: 6, stopped: false });
    expect(result.losses).toHaveLength(3);
    expect(result.params.every(Number.isFinite)).toBe(true);
    expect(result.reports.map((r) => r.step)).toEqual([1, 4, 6]);
  });

  it('end the run when three steps in a row are like that', async () => {
    await expect(run({ model: damaged([2, 3, 4]) })).rejects.toMatchObject({
      code: 'NOT_FINITE',
      message: expect.stringMatching(/step 4: 3 steps in a row.*lines 1\d\d/),
      hint: expect.stringContaining('--learning-rate'),
    });
  });

  it('are what an absurd learning rate ends in', async () => {
    for (const learningRate of [1e19, 1e30, 1e38]) {
      await expect(run({ learningRate, epochs: 4 })).rejects.toMatchObject({ code: 'NOT_FINITE' });
    }
  });

  it('are noticed when the last update brings them', async () => {
    for (const maxSteps of [1, 2]) {
      await expect(run({ learningRate: 1e20, maxSteps })).rejects.toMatchObject({
        code: 'NOT_FINITE',
        message: expect.stringMatching(new RegExp(`after step ${maxSteps} the model is broken`)),
      });
    }
  });
});

it.each([
  [{ batchSize: 0 }, /batch_size is 0/],
  [{ batchSize: 1.5 }, /batch_size is 1.5/],
  [{ epochs: 0 }, /num_epochs/],
  [{ epochs: NaN }, /num_epochs/],
  [{ learningRate: NaN }, /learning_rate is NaN/],
  [{ learningRate: 0 }, /learning_rate/],
  [{ learningRate: -1 }, /learning_rate/],
  [{ weightDecay: NaN }, /weight_decay/],
  [{ maxGradNorm: -1 }, /max_grad_norm/],
  [{ maxSteps: 0 }, /max_steps/],
  [{ warmupSteps: -1 }, /warmup_steps/],
  [{ evalSteps: 0.5 }, /eval_steps/],
  [{ lora: lora({ r: 0 }) }, /lora_r is 0/],
  [{ lora: lora({ dropout: 1 }) }, /lora_dropout is 1/],
  [{ lora: lora({ targetModules: [] }) }, /no target module/],
  [{ packLength: 0 }, /pack length/],
] as [Partial<TrainOptions>, RegExp][])('refuses %j', async (changes, message) => {
  await expect(run(changes)).rejects.toMatchObject({ code: 'USAGE', message: expect.stringMatching(message) });
});

it('refuses an empty data set and rows that fit in no pack', async () => {
  await expect(run({ examples: [] })).rejects.toMatchObject({ code: 'NO_EXAMPLES' });
  await expect(run({ packLength: 11 })).rejects.toMatchObject({ code: 'EXAMPLE_TOO_LONG' });
});
