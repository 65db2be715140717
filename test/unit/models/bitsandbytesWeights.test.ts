// Checkpoints of bitsandbytes against what bitsandbytes itself makes of them.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createRng, HuacayaError, memorySource } from '../../../src/base/index.ts';
import {
  dequantise4Bit,
  encodeSafetensors,
  fourBitLevels,
  nf4Block,
  openSafetensors,
  openShardedSafetensors,
} from '../../../src/formats/index.ts';
import {
  allRoles,
  bitsandbytesWeights,
  checkQuantisationConfig,
  expectedShape,
  huggingFaceWeights,
  isBitsandbytes,
  type LlamaConfig,
  type WeightRole,
} from '../../../src/models/index.ts';
import { openCheckpoint } from '../../../src/models/node.ts';
import { temporaryFolder, tinyModel, writeTinyModel } from '../../helpers/tinyModel.ts';
import { damage } from '../formats/helpers.ts';

const config: LlamaConfig = {
  hiddenSize: 20,
  intermediateSize: 27,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 8,
  vocabSize: 20,
  rmsNormEps: 1e-5,
  ropeTheta: 10000,
  maxPositions: 64,
  tiedHead: false,
};

const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../fixtures/bitsandbytes/${name}`, import.meta.url)));
const model = fixture('model.safetensors');
const open = (bytes: Uint8Array) => openSafetensors(memorySource('x.safetensors', bytes));
const projection = (module: 'q_proj' | 'o_proj' | 'down_proj'): WeightRole => ({
  kind: 'projection',
  layer: 0,
  module,
});
const q = 'model.layers.0.self_attn.q_proj.weight';
const k = 'model.layers.0.self_attn.k_proj.weight';
const o = 'model.layers.0.self_attn.o_proj';

interface Stored {
  dtype: string;
  shape: number[];
  bytes: Uint8Array<ArrayBuffer>;
}

/** The fixture with some tensors changed, or gone. */
async function changed(edit: (tensors: Map<string, Stored>) => void): Promise<Uint8Array> {
  const file = await open(model);
  const tensors = new Map<string, Stored>();
  for (const [name, { dtype, shape }] of file.tensors) {
    tensors.set(name, { dtype, shape, bytes: new Uint8Array(await file.readBytes(name)) });
  }
  edit(tensors);
  return encodeSafetensors(
    [...tensors].map(([name, { dtype, shape, bytes }]) => ({ name, dtype: dtype as 'U8', shape, data: bytes })),
  );
}

describe('a checkpoint of bitsandbytes', () => {
  let expected: (role: WeightRole) => Promise<Float32Array>;
  beforeAll(async () => {
    const plain = huggingFaceWeights(await open(fixture('expected.safetensors')), config);
    expected = (role) => plain.read(role);
  });

  it('of Gemma stores the weights of its norms less one', async () => {
    const norm = { kind: 'finalNorm' } as const;
    const gemma = await bitsandbytesWeights(await open(model), { ...config, normOffset: 1 });
    expect([...(await gemma.read(norm))]).toEqual([...(await expected(norm))].map((w) => Math.fround(w + 1)));
  });

  it('of Phi-3 is refused: its fused tensors are quantised as a whole', async () => {
    const phi3 = { ...config, architecture: 'phi3', fused: true } as const;
    await expect(bitsandbytesWeights(await open(model), phi3)).rejects.toThrow('fused tensors of phi3');
  });

  it('is recognised', async () => {
    expect(isBitsandbytes(await open(model))).toBe(true);
    expect(isBitsandbytes(await open(fixture('expected.safetensors')))).toBe(false);
  });

  it.each([...allRoles(config)].map((role): [string, WeightRole] => [Object.values(role).join(' '), role]))(
    'gives the numbers that bitsandbytes gives: %s',
    async (_, role) => {
      const weights = await bitsandbytesWeights(await open(model), config);
      const wanted = await expected(role);
      expect(await weights.read(role)).toEqual(wanted);
      const [rows, width] = expectedShape(config, role);
      if (width === undefined) return;
      for (let row = 0; row < rows!; row += 3) {
        const last = Math.min(rows!, row + 3);
        expect(await weights.read(role, [row, last])).toEqual(wanted.slice(row * width, last * width));
      }
      expect(await weights.read(role, [5, 5])).toHaveLength(0);
    },
  );

  it('may be split over files', async () => {
    const file = await open(model);
    const names = [...file.tensors.keys()];
    const shards = new Map<string, Uint8Array>();
    for (const half of [0, 1]) {
      const own = names.filter((_, i) => i % 2 === half);
      const bytes = await changed((tensors) => {
        for (const name of names) if (!own.includes(name)) tensors.delete(name);
      });
      shards.set(`${half}.safetensors`, bytes);
    }
    const index = JSON.stringify({ weight_map: Object.fromEntries(names.map((n, i) => [n, `${i % 2}.safetensors`])) });
    const sharded = await openShardedSafetensors(index, async (name) => memorySource(name, shards.get(name)!));
    const weights = await bitsandbytesWeights(sharded, config);
    for (const role of allRoles(config)) expect(await weights.read(role)).toEqual(await expected(role));
  });

  it('hands NF4 out as it is stored, where its blocks are the usual ones', async () => {
    const weights = await bitsandbytesWeights(await open(model), config);
    const stored = [...allRoles(config)].map(async (role) => [role, await weights.readNf4!(role)] as const);
    const named = [];
    for (const [role, made] of await Promise.all(stored)) {
      if (!made) continue;
      named.push(role.kind === 'projection' ? role.module : role.kind);
      const wanted = await expected(role);
      const out = new Float32Array(wanted.length);
      dequantise4Bit(made.codes, fourBitLevels.nf4, { values: made.scales, first: 0, blockSize: nf4Block }, 0, out);
      expect(out).toEqual(wanted);
    }
    // Not FP4, not 8 bits, and not blocks of 32.
    expect(named).toEqual(['q_proj', 'k_proj', 'gate_proj', 'head']);
  });

  it('refuses rows that it does not have', async () => {
    const weights = await bitsandbytesWeights(await open(model), config);
    await expect(weights.read(projection('q_proj'), [0, 17])).rejects.toThrow(/has 16 rows; asked for rows 0 to 17/);
  });

  it('takes the embedding for a tied head', async () => {
    const weights = await bitsandbytesWeights(await open(model), { ...config, tiedHead: true });
    expect(await weights.read({ kind: 'head' })).toEqual(await expected({ kind: 'embedding' }));
  });

  const cases: [string, (tensors: Map<string, Stored>) => void, string, string][] = [
    ['no codes', (t) => t.delete(q), 'MISSING_TENSOR', `has no tensor ${q}`],
    ['no scales', (t) => t.delete(`${q}.absmax`), 'MISSING_TENSOR', `has no tensor ${q}.absmax`],
    ['no scales of scales', (t) => t.delete(`${k}.nested_absmax`), 'MISSING_TENSOR', `${k}.nested_absmax`],
    ['no map of scales', (t) => t.delete(`${k}.nested_quant_map`), 'MISSING_TENSOR', `${k}.nested_quant_map`],
    [
      'no state',
      (t) => t.delete(`${q}.quant_state.bitsandbytes__nf4`),
      'UNSUPPORTED_QUANTISATION',
      `${q} holds U8 numbers`,
    ],
    ['no row scales', (t) => t.delete(`${o}.SCB`), 'UNSUPPORTED_QUANTISATION', `${o}.weight holds I8 numbers`],
    [
      'too few codes',
      (t) => t.set(q, { dtype: 'U8', shape: [159, 1], bytes: new Uint8Array(159) }),
      'BAD_QUANTISATION',
      'has 159 bytes, 320 codes of 4 bits take 160',
    ],
    [
      'too few scales',
      (t) => t.set(`${q}.absmax`, { dtype: 'F32', shape: [4], bytes: new Uint8Array(16) }),
      'BAD_QUANTISATION',
      `${q}.absmax is F32 [4], expected 5 numbers of type F32`,
    ],
    [
      'quantised scales without their state',
      (t) => t.set(`${q}.absmax`, { dtype: 'U8', shape: [5], bytes: new Uint8Array(5) }),
      'BAD_QUANTISATION',
      `${q}.absmax is U8 [5], expected 5 numbers of type F32`,
    ],
    [
      'another model',
      (t) => t.set(`${q}.quant_state.bitsandbytes__nf4`, text({ quant_type: 'nf4', blocksize: 64, shape: [20, 16] })),
      'WRONG_SHAPE',
      'has shape [20, 16], the configuration asks for [16, 20]',
    ],
    [
      'a type that contradicts its name',
      (t) => t.set(`${q}.quant_state.bitsandbytes__nf4`, text({ quant_type: 'fp4', blocksize: 64, shape: [16, 20] })),
      'BAD_QUANTISATION',
      'has the quant_type fp4',
    ],
    [
      'a state of megabytes',
      (t) =>
        t.set(`${q}.quant_state.bitsandbytes__nf4`, { dtype: 'U8', shape: [1 << 20], bytes: new Uint8Array(1 << 20) }),
      'BAD_QUANTISATION',
      'expected at most 4096 bytes of text',
    ],
    [
      'other levels',
      (t) => t.set(`${q}.quant_map`, { dtype: 'F32', shape: [16], bytes: new Uint8Array(64) }),
      'BAD_QUANTISATION',
      'gives code 0 the value 0, nf4 has -1',
    ],
    [
      'an order of rows for tensor cores',
      (t) => t.set(`${o}.weight_format`, { dtype: 'U8', shape: [], bytes: Uint8Array.of(2) }),
      'BAD_QUANTISATION',
      `${o}.weight_format is 2`,
    ],
    [
      'too few row scales',
      (t) => t.set(`${o}.SCB`, { dtype: 'F32', shape: [19], bytes: new Uint8Array(76) }),
      'BAD_QUANTISATION',
      `${o}.SCB is F32 [19], expected 20 numbers of type F32`,
    ],
    [
      '8-bit rows of another model',
      (t) => t.set(`${o}.weight`, { ...t.get(`${o}.weight`)!, shape: [16, 20] }),
      'WRONG_SHAPE',
      'has shape [16, 20], the configuration asks for [20, 16]',
    ],
  ];
  it.each(cases)('is refused with %s', async (_, edit, code, message) => {
    const file = await open(await changed(edit));
    const error = await bitsandbytesWeights(file, config).catch((e) => e);
    expect(error).toBeInstanceOf(HuacayaError);
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it('survives 1,500 damages', async () => {
    const rng = createRng(20240607);
    let refused = 0;
    // The header is 4 KB; most of what follows may be anything, but states and maps may not.
    for (let i = 0; i < 1500; i++) {
      try {
        const weights = await bitsandbytesWeights(await open(damage(model, rng, model.length)), config);
        for (const role of allRoles(config)) await weights.read(role);
      } catch (error) {
        if (!(error instanceof HuacayaError)) throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(500);
    expect(refused).toBeLessThan(1500);
  });
});

function text(value: unknown): Stored {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return { dtype: 'U8', shape: [bytes.length], bytes };
}

describe('quantization_config', () => {
  const check = (quantization_config: unknown) => () => checkQuantisationConfig('config.json', { quantization_config });

  it('may be absent, or of bitsandbytes', () => {
    expect(check(undefined)).not.toThrow();
    expect(check(null)).not.toThrow();
    expect(check({ quant_method: 'bitsandbytes', load_in_4bit: true, load_in_8bit: false })).not.toThrow();
    expect(check({ load_in_8bit: true })).not.toThrow();
  });

  it.each(['gptq', 'awq', 'fp8', 'compressed-tensors'])('is refused by name: %s', (quant_method) => {
    expect(check({ quant_method, bits: 4 })).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED_QUANTISATION',
        message: `config.json: the weights are quantised with "${quant_method}", which this version does not read`,
        hint: expect.stringContaining('GGUF'),
      }),
    );
  });

  it('is looked at when a folder is opened', async () => {
    const folder = temporaryFolder();
    try {
      const path = join(writeTinyModel(folder.path, tinyModel()), 'config.json');
      const json = JSON.parse(readFileSync(path, 'utf8'));
      writeFileSync(path, JSON.stringify({ ...json, quantization_config: { quant_method: 'gptq' } }));
      await expect(openCheckpoint(folder.path)).rejects.toThrow(/config.json: the weights are quantised with "gptq"/);
    } finally {
      folder.remove();
    }
  });

  it('is refused without a method, with both widths, and when it is no object', () => {
    expect(check({ bits: 4 })).toThrow('by a method that it does not name');
    expect(check({ quant_method: 'bitsandbytes', load_in_4bit: true, load_in_8bit: true })).toThrow('at once');
    expect(check('awq')).toThrow('is not a JSON object');
    expect(() => checkQuantisationConfig('c', { compression_config: { quant_method: 'x' } })).toThrow('with "x"');
  });
});
