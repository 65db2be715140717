// Adapters on disk: what is written is what is read, bit for bit, and nothing useless or foreign is written or read.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openFile } from '../../src/base/node.ts';
import { encodeSafetensors, openSafetensors } from '../../src/formats/index.ts';
import {
  configFromJson,
  type LoraConfig,
  type LoraTensor,
  loraLayout,
  loraTensorName,
} from '../../src/models/index.ts';
import { openAdapter, saveAdapter } from '../../src/models/node.ts';
import { temporaryFolder, tinyConfigs } from '../helpers/tinyModel.ts';
import { lora, randomParams } from '../helpers/tinyRun.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const model = configFromJson('config.json', { model_type: 'llama', ...tinyConfigs.untied });
let next = 0;
const place = () => join(folder.path, `adapter-${next++}`);

const adapterOf = (config: LoraConfig) => {
  const layout = loraLayout(model, config);
  return { layout, params: randomParams(layout), baseModel: 'tiny/untied' };
};

async function saved(config: LoraConfig = lora()) {
  const path = place();
  const adapter = adapterOf(config);
  await saveAdapter(path, adapter);
  return { path, adapter };
}

/** Rewrites adapter_config.json. */
function edit(path: string, changes: Record<string, unknown>) {
  const file = join(path, 'adapter_config.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...changes }));
}

/** Writes adapter_model.safetensors anew. */
function writeTensors(path: string, tensors: readonly { name: string; shape: readonly number[] }[]) {
  const all = tensors.map(({ name, shape }) => {
    return { name, shape, dtype: 'F32' as const, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1) };
  });
  writeFileSync(join(path, 'adapter_model.safetensors'), encodeSafetensors(all));
}

const named = (t: LoraTensor) => ({ name: loraTensorName(t), shape: t.shape });

describe('save and open', () => {
  it.each([
    lora(),
    lora({ targetModules: ['down_proj'], r: 1, useRslora: true }),
    lora({ targetModules: ['q_proj', 'v_proj'], alpha: 0.5, dropout: 0.05 }),
  ])('gives the same bits and settings, case %#', async (config) => {
    const { path, adapter } = await saved(config);
    const opened = await openAdapter(path, model);
    expect(opened.params).toEqual(adapter.params);
    expect(opened.layout.config).toEqual({ ...config, targetModules: expect.any(Array) });
    expect([...opened.layout.config.targetModules].sort()).toEqual([...config.targetModules].sort());
    expect(opened.baseModel).toBe('tiny/untied');
    expect(readdirSync(path).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  });

  it('uses the names and settings of PEFT', async () => {
    const { path } = await saved(lora({ targetModules: ['v_proj', 'down_proj'] }));
    const json = JSON.parse(readFileSync(join(path, 'adapter_config.json'), 'utf8'));
    expect(json).toMatchObject({
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      r: 3,
      lora_alpha: 6,
      target_modules: ['down_proj', 'v_proj'],
      base_model_name_or_path: 'tiny/untied',
    });
    const file = await openSafetensors(await openFile(join(path, 'adapter_model.safetensors')));
    const shapes = Object.fromEntries([...file.tensors].map(([name, { shape }]) => [name, shape]));
    await file.close();
    const prefix = 'base_model.model.model.layers.2.';
    expect(shapes).toMatchObject({
      [`${prefix}self_attn.v_proj.lora_A.weight`]: [3, 48],
      [`${prefix}self_attn.v_proj.lora_B.weight`]: [32, 3],
      [`${prefix}mlp.down_proj.lora_A.weight`]: [3, 160],
      [`${prefix}mlp.down_proj.lora_B.weight`]: [48, 3],
    });
    expect(Object.keys(shapes)).toHaveLength(3 * 2 * 2);
  });

  it('finds the adapter inside a run folder', async () => {
    const run = place();
    const adapter = adapterOf(lora());
    await saveAdapter(join(run, 'adapter'), adapter);
    expect((await openAdapter(run, model)).params).toEqual(adapter.params);
  });

  it('replaces a folder only when told to', async () => {
    const { path, adapter } = await saved();
    const other = { ...adapter, params: adapter.params.map((p) => p / 2) };
    await expect(saveAdapter(path, other)).rejects.toMatchObject({ code: 'USAGE', exitCode: 2 });
    expect((await openAdapter(path, model)).params).toEqual(adapter.params);
    await saveAdapter(path, other, { overwrite: true });
    expect((await openAdapter(path, model)).params).toEqual(other.params);
  });
});

describe('saving refuses', () => {
  const refused = async (damage: (params: Float32Array, tensors: readonly LoraTensor[]) => void, message: RegExp) => {
    const path = place();
    const adapter = adapterOf(lora());
    damage(adapter.params, adapter.layout.tensors);
    await expect(saveAdapter(path, adapter)).rejects.toMatchObject({
      code: 'BAD_ADAPTER',
      message: expect.stringMatching(message),
    });
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(folder.path).filter((f) => f.endsWith('.tmp'))).toEqual([]);
  };

  it('an adapter that changes nothing', () =>
    refused((params, tensors) => {
      for (const t of tensors) if (t.kind === 'B') params.fill(0, t.offset, t.offset + t.shape[0] * t.shape[1]);
    }, /every lora_B is zero/));

  it.each([NaN, Infinity, -Infinity])('%s, and names the tensor', (value) =>
    refused(
      (params, tensors) => {
        const t = tensors.find((x) => x.layer === 1 && x.module === 'up_proj' && x.kind === 'B')!;
        params[t.offset + 5] = value;
      },
      new RegExp(`layers\\.1\\.mlp\\.up_proj\\.lora_B\\.weight holds ${value}`),
    ),
  );
});

describe('opening refuses', () => {
  const refused = (path: string, code: string, message: RegExp) =>
    expect(openAdapter(path, model)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });

  it('a folder without an adapter', async () => {
    const path = place();
    mkdirSync(path);
    await refused(path, 'ADAPTER_NOT_FOUND', /adapter_config\.json/);
  });

  it('a folder without the weights', async () => {
    const { path } = await saved();
    rmSync(join(path, 'adapter_model.safetensors'));
    await refused(path, 'FILE_NOT_FOUND', /adapter_model\.safetensors/);
  });

  it('broken JSON', async () => {
    const { path } = await saved();
    writeFileSync(join(path, 'adapter_config.json'), '{"r": ');
    await refused(path, 'BAD_JSON', /adapter_config\.json/);
  });

  it.each([
    [{ peft_type: 'IA3' }, /peft_type is "IA3"/],
    [{ use_dora: true }, /use_dora = true is not supported/],
    [{ modules_to_save: ['lm_head'] }, /modules_to_save/],
    [{ rank_pattern: { q_proj: 4 } }, /rank_pattern/],
    [{ target_modules: ['q_proj', 'query'] }, /target_modules/],
    [{ target_modules: 5 }, /target_modules/],
    [{ target_modules: [] }, /target_modules/],
  ])('settings that it does not know: %j', async (changes, message) => {
    const { path } = await saved();
    edit(path, changes);
    await refused(path, 'BAD_ADAPTER', message);
  });

  it.each([{ r: 0 }, { r: 2.5 }, { r: 'eight' }, { lora_alpha: -1 }, { lora_dropout: 1 }])('%j', async (changes) => {
    const { path } = await saved();
    edit(path, changes);
    await refused(path, 'USAGE', /lora_(r|alpha|dropout)/);
  });

  it('the adapter of another model, with both shapes', async () => {
    const { path } = await saved(lora({ targetModules: ['q_proj'] }));
    const other = configFromJson('config.json', { model_type: 'llama', ...tinyConfigs.tied });
    await expect(openAdapter(path, other)).rejects.toMatchObject({
      code: 'BAD_ADAPTER',
      message: expect.stringMatching(/lora_A.*\[3, 48\].*\[3, 64\]/),
      hint: expect.stringContaining('tiny/untied'),
    });
  });

  it('a rank that differs from the tensors', async () => {
    const { path } = await saved();
    edit(path, { r: 4 });
    await refused(path, 'BAD_ADAPTER', /\[3, 48\].*\[4, 48\]/);
  });

  it('a missing tensor, a strange one, and none at all', async () => {
    const { path, adapter } = await saved();
    const tensors = adapter.layout.tensors.map(named);
    writeTensors(path, tensors.slice(1));
    await refused(path, 'BAD_ADAPTER', /has no tensor .*layers\.0\.self_attn\.q_proj\.lora_A/);
    writeTensors(path, [...tensors, { name: 'base_model.model.lm_head.lora_A.weight', shape: [3, 48] }]);
    await refused(path, 'BAD_ADAPTER', /does not explain: base_model\.model\.lm_head/);
    writeTensors(path, []);
    await refused(path, 'BAD_ADAPTER', /holds no tensors/);
  });

  it('a truncated file', async () => {
    const { path } = await saved();
    const file = join(path, 'adapter_model.safetensors');
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.subarray(0, bytes.length - 3));
    await refused(path, 'TRUNCATED', /adapter_model\.safetensors/);
  });
});

it('of a model that also sees has the names that PEFT looks for there, and is read with those of any version', async () => {
  const text_config = { ...tinyConfigs.untied, model_type: 'gemma3_text' };
  const seeing = configFromJson('config.json', { model_type: 'gemma3', text_config, vision_config: {} });
  const layout = loraLayout(seeing, lora());
  const params = randomParams(layout);
  const path = place();
  await saveAdapter(path, { layout, params, baseModel: 'tiny/seeing' });
  const file = await openSafetensors(await openFile(join(path, 'adapter_model.safetensors')));
  const tensors = await Promise.all(
    [...file.tensors].map(async ([name, { shape }]) => ({
      name,
      shape: [...shape],
      data: new Float32Array(await file.readFloat32(name)),
    })),
  );
  await file.close();
  // Gemma3ForConditionalGeneration: the part that sees has a q_proj too.
  const { target_modules } = JSON.parse(readFileSync(join(path, 'adapter_config.json'), 'utf8'));
  const pattern = new RegExp(`^(?:${target_modules})$`);
  for (const { name } of tensors) {
    expect(name).toMatch(/^base_model\.model\.model\.language_model\.layers\.\d+\./);
    expect(name.replace(/^base_model\.model\.|\.lora_[AB]\.weight$/g, '')).toMatch(pattern);
  }
  expect('model.vision_tower.encoder.layers.0.self_attn.q_proj').not.toMatch(pattern);
  for (const inside of ['model.language_model.', 'language_model.model.', 'model.']) {
    const renamed = tensors.map((t) => ({
      ...t,
      dtype: 'F32' as const,
      name: t.name.replace('model.language_model.', inside),
    }));
    writeFileSync(join(path, 'adapter_model.safetensors'), encodeSafetensors(renamed));
    expect((await openAdapter(path, seeing)).params).toEqual(params);
  }
});
