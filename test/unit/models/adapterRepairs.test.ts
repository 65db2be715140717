// Adapters as 2023 made them: fields, names of tensors, files without weights, and base models that are gone.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { memorySource } from '../../../src/base/index.ts';
import { encodeSafetensors, openSafetensors } from '../../../src/formats/index.ts';
import {
  configFromJson,
  configKey,
  equalModels,
  goneBase,
  loraConfigFromJson,
  loraLayout,
  loraTensorName,
} from '../../../src/models/index.ts';
import { openAdapter } from '../../../src/models/node.ts';

// adapter_config.json of tloen/alpaca-lora-7b.
const alpacaLora = {
  base_model_name_or_path: 'decapoda-research/llama-7b-hf',
  bias: 'none',
  enable_lora: null,
  fan_in_fan_out: false,
  inference_mode: true,
  lora_alpha: 16,
  lora_dropout: 0.05,
  merge_weights: false,
  modules_to_save: null,
  peft_type: 'LORA',
  r: 16,
  target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj'],
  task_type: 'CAUSAL_LM',
};

const sizes = {
  model_type: 'llama',
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  vocab_size: 16,
};
const model = configFromJson('config.json', sizes);
const root = mkdtempSync(join(tmpdir(), 'huacaya-repairs-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const checkpoints = join(import.meta.dirname, '../../fixtures/checkpoints');
/** Of those fixtures. */
const small = configFromJson('config.json', { ...sizes, hidden_size: 16, intermediate_size: 24, vocab_size: 40 });

let made = 0;
/** A folder with a config and files beside it. */
function folderWith(files: Record<string, Uint8Array>, changes: Record<string, unknown> = {}): string {
  const folder = join(root, String(made++));
  mkdirSync(folder);
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ ...alpacaLora, r: 2, ...changes }));
  for (const [name, data] of Object.entries(files)) writeFileSync(join(folder, name), data);
  return folder;
}

function weights(modules: readonly ('q_proj' | 'v_proj')[], rename = (name: string) => name): Uint8Array {
  const config = { r: 2, alpha: 16, dropout: 0, targetModules: modules, useRslora: false };
  const tensors = loraLayout(model, config).tensors.map((t) => {
    const data = new Float32Array(t.shape[0] * t.shape[1]).fill(t.kind === 'A' ? 0.5 : 0.25);
    return { name: rename(loraTensorName(t)), dtype: 'F32' as const, shape: [...t.shape], data };
  });
  return encodeSafetensors(tensors);
}

describe('adapter_config.json', () => {
  it('of tloen/alpaca-lora-7b is read', () => {
    expect(loraConfigFromJson('a', alpacaLora)).toEqual({
      baseModel: 'decapoda-research/llama-7b-hf',
      config: { r: 16, alpha: 16, dropout: 0.05, targetModules: alpacaLora.target_modules, useRslora: false },
    });
  });

  it.each([{ enable_lora: [true, false, true] }, { lora_bias: true }, { target_modules: ['c_attn'] }])(
    'with %j is refused',
    (changes) => {
      expect(() => loraConfigFromJson('a', { ...alpacaLora, ...changes })).toThrow(Object.keys(changes)[0]);
    },
  );

  it('with all-linear means the seven matrices of a layer', () => {
    expect(loraConfigFromJson('a', { ...alpacaLora, target_modules: 'all-linear' }).config.targetModules).toHaveLength(
      7,
    );
  });
});

describe('weights', () => {
  it.each(['.*(q|v)_proj', '(a+)+$', null])('tell the modules where target_modules is %j', async (target_modules) => {
    const folder = folderWith({ 'adapter_model.safetensors': weights(['q_proj', 'v_proj']) }, { target_modules });
    const { layout, params } = await openAdapter(folder, model);
    expect(layout.config.targetModules).toEqual(['q_proj', 'v_proj']);
    expect([...new Set(params)].sort()).toEqual([0.25, 0.5]);
  });

  it('may carry the name of the adapter', async () => {
    const data = weights(['q_proj'], (name) => name.replace('.weight', '.default.weight'));
    const folder = folderWith({ 'adapter_model.safetensors': data }, { target_modules: ['self_attn.q_proj'] });
    expect((await openAdapter(folder, model)).params.every((x) => x !== 0)).toBe(true);
  });

  it('of 443 bytes: the cause, and where they may be', async () => {
    const empty = { 'adapter_model.bin': new Uint8Array(443) };
    await expect(openAdapter(folderWith(empty), model)).rejects.toMatchObject({
      message: expect.stringContaining('443 bytes'),
      hint: expect.stringContaining('trained again'),
    });
    const beside = folderWith({ ...empty, 'pytorch_model.bin': new Uint8Array(9) });
    await expect(openAdapter(beside, model)).rejects.toMatchObject({
      hint: expect.stringContaining('pytorch_model.bin'),
    });
  });

  it('as a pickle are the same numbers', async () => {
    const folder = join(checkpoints, 'adapter-bin');
    const expected = await openSafetensors(
      memorySource('expected', new Uint8Array(readFileSync(join(folder, 'expected.safetensors')))),
    );
    const { layout, params, baseModel } = await openAdapter(folder, small);
    expect(baseModel).toBe('decapoda-research/llama-7b-hf');
    expect(layout.tensors).toHaveLength(8);
    for (const t of layout.tensors) {
      const values = params.slice(t.offset, t.offset + t.shape[0] * t.shape[1]);
      expect(values).toEqual(await expected.readFloat32(loraTensorName(t)));
    }
  });

  it('as a pickle without tensors are missed, whatever its size', async () => {
    // PyTorch of today writes 1,297 bytes.
    await expect(openAdapter(join(checkpoints, 'adapter-empty'), small)).rejects.toMatchObject({
      code: 'BAD_ADAPTER',
      message: expect.stringContaining('1297 bytes: an adapter without tensors'),
      hint: expect.stringContaining('trained again'),
    });
  });

  it('as a damaged pickle are not called empty', async () => {
    const folder = folderWith({ 'adapter_model.bin': new Uint8Array(5000) });
    await expect(openAdapter(folder, model)).rejects.toMatchObject({
      message: expect.stringMatching(/adapter_model\.bin: (?!.*without tensors)/),
    });
  });
});

describe('base models', () => {
  it('that are gone have copies', () => {
    expect(equalModels('Decapoda-Research/llama-7b-hf')[0]).toBe('huggyllama/llama-7b');
    expect(goneBase('decapoda-research/llama-7b-hf')).toContain('huacaya pull huggyllama/llama-7b');
    expect(goneBase('org/other')).toBeUndefined();
  });

  it('are equal by what decides shapes, not by the length they allow', () => {
    const key = (changes: object) => configKey(configFromJson('c', { ...sizes, ...changes }));
    expect(key({ max_position_embeddings: 4096, bos_token_id: 0 })).toBe(key({}));
    expect(key({ rms_norm_eps: 1e-5 })).not.toBe(key({}));
    expect(key({ vocab_size: 17 })).not.toBe(key({}));
  });
});
