// GGUF files of every architecture give the configuration and the numbers of the Hugging Face folder they were made from. Keys
// and names are those of gguf-py (test/fixtures/gguf/makeArchitectures.py), numbers are laid out here as the converter does.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../src/base/index.ts';
import { openGguf, openSafetensors, type TensorFile } from '../../../src/formats/index.ts';
import {
  allRoles,
  configFromGguf,
  configFromJson,
  expectedShape,
  ggufWeights,
  huggingFaceWeights,
  type LlamaConfig,
  ropeFrequencies,
} from '../../../src/models/index.ts';
import { Bytes, buildGguf, type GgufParts } from '../formats/ggufBuilder.ts';
import { expectSameFloats } from '../formats/helpers.ts';

interface Described {
  keys: Record<string, { types: number[]; value: number | string | boolean[] }>;
  /** Name in the folder -> name in the file. */
  names: Record<string, string>;
  extra: Record<string, number[]>;
}

const fixtures = join(import.meta.dirname, '../../fixtures');
const described: Record<string, Described> = JSON.parse(
  readFileSync(join(fixtures, 'gguf/architectures.json'), 'utf8'),
);

async function folderOf(name: string): Promise<{ config: LlamaConfig; file: TensorFile }> {
  const folder = join(fixtures, 'architectures', name);
  const config = configFromJson(name, JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')));
  const bytes = new Uint8Array(readFileSync(join(folder, 'model.safetensors')));
  return { config, file: await openSafetensors(memorySource(name, bytes)) };
}

/** q and k as llama.cpp's converter lays them out for LLaMA: the halves of each head, a row of each in turn. */
function inPairs(data: Float32Array, width: number, headDim: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let row = 0; row < data.length / width; row++) {
    const inHead = row % headDim;
    const to = row - inHead + 2 * (inHead % (headDim / 2)) + (inHead < headDim / 2 ? 0 : 1);
    out.set(data.subarray(row * width, (row + 1) * width), to * width);
  }
  return out;
}

async function ggufOf(name: string, change: (d: Described) => void = () => {}): Promise<Uint8Array> {
  const { config, file } = await folderOf(name);
  const d = structuredClone(described[name]!);
  change(d);
  const keys: GgufParts['keys'] = Object.entries(d.keys).map(([key, { types, value }]) => [
    key,
    (b: Bytes) => {
      b.u32(types[0]!);
      if (typeof value === 'string') b.string(value);
      else if (Array.isArray(value)) {
        b.u32(types[1]!).u64(value.length);
        for (const flag of value) b.u8(flag ? 1 : 0);
      } else if (types[0] === 6) b.f32(value);
      else b.u32(value);
    },
  ]);
  const tensors: NonNullable<GgufParts['tensors']> = [];
  const data = new Bytes();
  const put = (to: string, shape: readonly number[], values: Float32Array) => {
    data.raw(new Uint8Array((32 - (data.length % 32)) % 32));
    tensors.push({ name: to, dims: [...shape].reverse(), type: 0, offset: data.length });
    data.raw(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  };
  for (const [from, to] of Object.entries(d.names)) {
    const { shape } = file.tensors.get(from)!;
    let values: Float32Array = await file.readFloat32(from);
    if (/norm/.test(from) && name.startsWith('gemma')) values = values.map((w) => w + 1);
    if (/self_attn\.[qk]_proj\.weight/.test(from) && d.keys['general.architecture']!.value === 'llama') {
      values = inPairs(values, shape[1]!, config.headDim);
    }
    put(to, shape, values);
  }
  for (const [to, values] of Object.entries(d.extra)) put(to, [values.length], Float32Array.from(values));
  return buildGguf({ keys, tensors, data: data.done() });
}

async function read(bytes: Uint8Array) {
  const file = await openGguf(memorySource('x.gguf', bytes));
  const [short, long] = ['rope_factors_short.weight', 'rope_factors_long.weight'] as const;
  const factors = file.tensors.has(short)
    ? { short: await file.readFloat32(short), long: await file.readFloat32(long) }
    : undefined;
  const config = configFromGguf('x.gguf', file.metadata, file.tensors, factors);
  return { config, weights: ggufWeights(file, config) };
}

/** What GGUF cannot say: numbers are float32, Mistral is LLaMA, Gemma's scale is the one of its published models. */
function asGguf(c: LlamaConfig): LlamaConfig {
  const { architecture, ropeScaling, slidingWindow, attentionScale, ...rest } = c;
  const mistral = architecture === 'mistral';
  const scaled = ropeScaling?.type === 'llama3' ? undefined : ropeScaling;
  return {
    ...rest,
    ...(architecture && !mistral ? { architecture } : {}),
    rmsNormEps: Math.fround(c.rmsNormEps),
    ...(scaled?.type === 'longrope'
      ? {
          ropeScaling: {
            ...scaled,
            shortFactor: scaled.shortFactor.map(Math.fround),
            longFactor: scaled.longFactor.map(Math.fround),
            attentionFactor: Math.fround(scaled.attentionFactor),
          },
        }
      : scaled
        ? { ropeScaling: scaled }
        : {}),
    // Nor is Qwen's window in the file.
    ...(slidingWindow && !mistral && architecture !== 'qwen2' ? { slidingWindow } : {}),
    ...(attentionScale === undefined ? {} : { attentionScale: c.headDim ** -0.5 }),
  };
}

it('covers every architecture', () => {
  const families = new Set(Object.keys(described).map((name) => name.replace(/-.*$/, '').replace('llama3', 'llama')));
  expect([...families].sort()).toEqual(['gemma', 'gemma2', 'gemma3', 'llama', 'mistral', 'phi3', 'qwen2', 'qwen3']);
});

describe.each(Object.keys(described))('%s', (name) => {
  it('has the configuration and the numbers of the folder', async () => {
    const folder = await folderOf(name);
    const { config, weights } = await read(await ggufOf(name));
    expect(config).toEqual(asGguf(folder.config));
    const expected = huggingFaceWeights(folder.file, folder.config);
    for (const role of allRoles(folder.config)) {
      const whole = await expected.read(role);
      expectSameFloats(await weights.read(role), whole);
      const [rows, width] = expectedShape(config, role) as [number, number?];
      if (width === undefined) continue;
      for (const [from, to] of [
        [3, 7],
        [rows - 1, rows],
      ] as const) {
        expectSameFloats(await weights.read(role, [from, to]), whole.subarray(from * width, to * width));
      }
    }
    // Llama 3's scaling comes as divisors.
    const factors = await weights.ropeFactors();
    expect(factors !== undefined).toBe(name === 'llama3');
    const [own, wanted] = [ropeFrequencies(config, factors), ropeFrequencies(folder.config)];
    for (const [i, f] of own.entries()) expect(f / wanted[i]!).toBeCloseTo(1, 6);
  });
});

describe('what llama.cpp assumes', () => {
  const scale = async (name: string, layers: number, more: Record<string, number> = {}) => {
    const d = described[name]!;
    const architecture = String(d.keys['general.architecture']!.value);
    const metadata = new Map<string, unknown>(Object.entries(d.keys).map(([key, { value }]) => [key, value]));
    metadata.delete(`${architecture}.attention.sliding_window_pattern`);
    metadata.set(`${architecture}.block_count`, layers);
    metadata.set(`${architecture}.embedding_length`, 4608);
    for (const [key, value] of Object.entries(more)) metadata.set(`${architecture}.${key}`, value);
    return configFromGguf(name, metadata, new Map([['token_embd.weight', { shape: [48, 4608] }]]));
  };

  it("Gemma's 27B models scale scores by their own width", async () => {
    expect((await scale('gemma2', 46)).attentionScale).toBeCloseTo((4608 / 4) ** -0.5, 12);
    expect((await scale('gemma2', 42)).attentionScale).toBeCloseTo(16 ** -0.5, 12);
    expect((await scale('gemma3', 62)).attentionScale).toBeCloseTo((4608 / 4) ** -0.5, 12);
    expect((await scale('gemma3', 62, { 'attention.scale': 0.125 })).attentionScale).toBeCloseTo(0.125, 12);
  });

  it("Gemma 3's windows are five in six, with a base of 10000", async () => {
    const plain = await scale('gemma3', 12, { 'rope.freq_base_swa': 10000 });
    expect(plain.localRopeTheta).toBe(10000);
    expect(plain.slidingWindow?.layers.map((local, i) => (local ? -1 : i)).filter((i) => i >= 0)).toEqual([5, 11]);
    const pattern = await scale('gemma3', 12, { 'attention.sliding_window_pattern': 4 });
    expect(pattern.slidingWindow?.layers.map((local, i) => (local ? -1 : i)).filter((i) => i >= 0)).toEqual([3, 7, 11]);
  });
});

const set = (d: Described, key: string, value: number | string) => {
  d.keys[key]!.value = value;
};

describe('refused', () => {
  it.each<[string, string, (d: Described) => void, RegExp]>([
    ['another architecture', 'llama', (d) => set(d, 'general.architecture', 'mamba'), /"mamba", this version/],
    [
      'no width',
      'qwen3',
      (d) => {
        delete d.keys['qwen3.embedding_length'];
      },
      /qwen3\.embedding_length is missing/,
    ],
    ['half a rotation', 'phi3', (d) => set(d, 'phi3.rope.dimension_count', 8), /partial_rotary_factor is 0.5/],
    ['YaRN', 'gemma3', (d) => set(d, 'gemma3.rope.scaling.type', 'yarn'), /"yarn" is not supported/],
  ])('%s', async (_, name, change, message) => {
    await expect(ggufOf(name, change).then(read)).rejects.toMatchObject({
      code: 'BAD_MODEL_CONFIG',
      message: expect.stringMatching(message),
    });
  });

  it('a tensor that is not there', async () => {
    const bytes = ggufOf('qwen3', (d) => {
      delete d.names['model.layers.1.self_attn.k_norm.weight'];
    });
    await expect(bytes.then(read)).rejects.toMatchObject({
      code: 'MISSING_TENSOR',
      message: expect.stringContaining('blk.1.attn_k_norm.weight'),
    });
  });
});
