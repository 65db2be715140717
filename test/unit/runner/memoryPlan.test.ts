import { describe, expect, it } from 'vitest';
import { configFromJson, moduleNames } from '../../../src/models/index.ts';
import {
  choosePlan,
  estimateInference,
  estimateTraining,
  fullPack,
  type PlanSettings,
  type PlanWishes,
  planCandidates,
  showPlanSettings,
  type TrainingMemory,
} from '../../../src/runner/index.ts';

const config = configFromJson('test', {
  model_type: 'llama',
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 12,
  num_attention_heads: 4,
  vocab_size: 1000,
  max_position_embeddings: 512,
});
const lora = { r: 8, alpha: 16, dropout: 0, targetModules: moduleNames, useRslora: false };
const training = (changes: Partial<TrainingMemory> = {}) => {
  const packTokens = changes.packTokens ?? 512;
  const packs = [fullPack(packTokens, 128)];
  return estimateTraining(config, { precision: 'int8', packTokens, positions: 128, lora, packs, ...changes });
};
const row = async (estimate: ReturnType<typeof training>, what: string) =>
  (await estimate).rows.find((r) => r.what === what)?.bytes ?? 0;

describe('estimates', () => {
  it('are the sum of their rows', async () => {
    const { rows, total } = await training();
    expect(rows.reduce((n, r) => n + r.bytes, 0)).toBeCloseTo(total, 0);
    for (const r of rows) expect(r.bytes).toBeGreaterThan(0);
  });

  it('grow with pack, rank, dropout and layers', async () => {
    const { total } = await training();
    expect((await training({ packTokens: 1024 })).total).toBeGreaterThan(total);
    expect((await training({ lora: { ...lora, r: 64 } })).total).toBeGreaterThan(total);
    expect((await training({ lora: { ...lora, dropout: 0.1 } })).total).toBeGreaterThan(total);
    const base = { precision: 'int8' as const, packTokens: 512, positions: 128, lora, packs: [fullPack(512, 128)] };
    expect((await estimateTraining({ ...config, layers: 13 }, base)).total).toBeGreaterThan(total);
  });

  it('shrink with one copy, recompute and fewer bits', async () => {
    expect((await training({ oneCopy: true })).total).toBeLessThan((await training()).total);
    expect((await training({ recompute: true })).total).toBeLessThan((await training()).total);
    const weights = await Promise.all(
      (['fp32', 'int8', 'int4'] as const).map((precision) => row(training({ precision }), 'weights')),
    );
    expect([...weights].sort((a, b) => b - a)).toEqual(weights);
  });

  it('of Gemma 2 are those of what it is trained in, as 8-bit products do not go with its norms', async () => {
    const json = {
      model_type: 'gemma2',
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: 4,
      vocab_size: 500,
    };
    const gemma = configFromJson('test', { ...json, num_attention_heads: 4, head_dim: 16 });
    const settings = { packTokens: 64, positions: 64, lora, packs: [fullPack(64, 64)] };
    const totals = await Promise.all(
      (['int8', 'fp32', 'w4a8', 'int4'] as const).map(
        async (precision) =>
          (await estimateTraining(gemma, { ...settings, precision, oneCopy: precision === 'int8' })).total,
      ),
    );
    expect(totals[0]).toBe(totals[1]);
    expect(totals[2]).toBe(totals[3]);
    // Answers are computed in another way, for which 8 bits do.
    const answering = (precision: 'int8' | 'fp32') =>
      estimateInference(gemma, { precision, packTokens: 64, positions: 64 });
    expect((await answering('int8')).total).toBeLessThan((await answering('fp32')).total);
  });

  it('know the weights to the byte', async () => {
    const { hiddenSize: h, intermediateSize: m, layers, vocabSize } = config;
    const matrices = 4 * h * h + 3 * h * m;
    const rotary = 2 * 512 * (config.headDim / 2);
    const floats = layers * (matrices + 2 * h) + 2 * vocabSize * h + h + rotary + 128;
    expect(await row(training({ precision: 'fp32' }), 'weights')).toBe(4 * floats);
  });

  it('count keys and values of every layer when answering', async () => {
    const of = (positions: number) =>
      estimateInference(config, { precision: 'fp32', packTokens: positions, positions });
    const kept = async (positions: number) => row(of(positions), 'keys and values');
    expect(await kept(256)).toBe(256 * 2 * 256 * 4 * config.layers);
    expect(await kept(512)).toBe(2 * (await kept(256)));
  });

  it('work for models of one layer', async () => {
    const few = { precision: 'fp32' as const, packTokens: 64, positions: 64, lora, packs: [fullPack(64, 64)] };
    const [one, two] = await Promise.all([1, 2].map((layers) => estimateTraining({ ...config, layers }, few)));
    expect(two!.total).toBeGreaterThan(one!.total);
  });
});

describe('fullPack', () => {
  it('fills a pack with the longest rows and one that is left over', () => {
    expect(fullPack(300, 128).map((s) => ('ids' in s ? s.ids.length : 0))).toEqual([128, 128, 44]);
  });
});

const wishes: PlanWishes = {
  precision: 'int8',
  packTokens: 1024,
  oneCopy: 'auto',
  recompute: 'auto',
  fixed: { precision: false, packTokens: false },
  longest: 200,
};

/** A model of memory that is easy to follow: kept activations 1 byte a token, weights 1000, 500, 200. */
const total = ({ precision, oneCopy, recompute, packTokens }: PlanSettings) =>
  (precision === 'int4' ? 200 : oneCopy ? 500 : 1000) + (recompute ? packTokens / 4 : packTokens);
const estimate = async (s: PlanSettings) => ({ rows: [], total: total(s) });
const chosen = async (limit: number, changes: Partial<PlanWishes> = {}) =>
  showPlanSettings((await choosePlan(limit, { ...wishes, ...changes }, estimate)).settings);

describe('choosePlan', () => {
  it('goes from two copies to one, recompute, smaller packs and int4', async () => {
    expect(planCandidates(wishes).map(showPlanSettings)).toEqual([
      'int8, pack 1024',
      'int8, one copy, pack 1024',
      'int8, one copy, recompute, pack 1024',
      'int8, one copy, recompute, pack 512',
      'int8, one copy, recompute, pack 256',
      'int8, one copy, recompute, pack 200',
      'int4, recompute, pack 1024',
      'int4, recompute, pack 512',
      'int4, recompute, pack 256',
      'int4, recompute, pack 200',
    ]);
  });

  it('takes the first that fits', async () => {
    expect(await chosen(3000)).toBe('int8, pack 1024');
    expect(await chosen(1600)).toBe('int8, one copy, pack 1024');
    expect(await chosen(800)).toBe('int8, one copy, recompute, pack 1024');
    expect(await chosen(570)).toBe('int8, one copy, recompute, pack 256');
    expect(await chosen(460)).toBe('int4, recompute, pack 1024');
    expect(await chosen(250)).toBe('int4, recompute, pack 200');
  });

  it('says why', async () => {
    expect((await choosePlan(3000, wishes, estimate)).reason).toBe('as asked for');
    expect((await choosePlan(800, wishes, estimate)).reason).toMatch(/^int8, pack 1024 would take more than/);
  });

  it('never changes what was fixed', async () => {
    const fixed = { precision: true, packTokens: true };
    expect(await chosen(800, { fixed })).toBe('int8, one copy, recompute, pack 1024');
    expect(await chosen(2100, { fixed, oneCopy: false })).toBe('int8, pack 1024');
    await expect(chosen(700, { fixed })).rejects.toThrow('at least 1 MB: int8, one copy, recompute, pack 1024');
    const none = choosePlan(700, { ...wishes, fixed, recompute: false }, estimate);
    await expect(none).rejects.toMatchObject({
      code: 'MEMORY_LIMIT',
      exitCode: 2,
      hint: 'Without --precision int8, --pack-len 1024, --recompute false it would fit: int8, one copy, recompute, pack 512.',
    });
  });

  it('tells the smallest setting when nothing fits', async () => {
    const gigabytes = async (s: PlanSettings) => ({ rows: [], total: total(s) * 1e7 });
    await expect(choosePlan(2e9, wishes, gigabytes)).rejects.toMatchObject({
      code: 'MEMORY_LIMIT',
      message: '2.0 GB of memory are too little: it needs at least 2.5 GB: int4, recompute, pack 200',
      hint: expect.stringMatching(/^Raise --memory/),
    });
  });
});
