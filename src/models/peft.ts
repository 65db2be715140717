// LoRA adapters as PEFT writes and reads them: adapter_config.json + adapter_model.safetensors.
// https://huggingface.co/docs/peft/developer_guides/checkpoint
import { HuacayaError } from '../base/index.ts';
import { encodeSafetensors, type TensorFile } from '../formats/index.ts';
import type { LlamaConfig } from './config.ts';
import { type ModuleName, moduleNames } from './llama.ts';
import { checkLoraConfig, hasEffect, type LoraConfig, type LoraLayout, loraLayout, loraTensorName } from './lora.ts';

export const adapterConfigFile = 'adapter_config.json';
export const adapterWeightsFile = 'adapter_model.safetensors';

export interface Adapter {
  layout: LoraLayout;
  params: Float32Array;
  /** What the adapter was trained on, as its config says. */
  baseModel: string;
}

const broken = (where: string, detail: string, hint?: string) =>
  new HuacayaError('BAD_ADAPTER', `${where}: ${detail}`, hint ? { hint } : {});

/** An adapter that does nothing, or harm, is never written: users found out weeks later. @throws HuacayaError. */
export function checkAdapter(where: string, layout: LoraLayout, params: Float32Array): void {
  for (const t of layout.tensors) {
    for (let i = t.offset; i < t.offset + t.shape[0] * t.shape[1]; i++) {
      if (!Number.isFinite(params[i]!)) throw broken(where, `${loraTensorName(t)} holds ${params[i]}`);
    }
  }
  if (!hasEffect(layout, params)) throw broken(where, 'every lora_B is zero: the adapter would change nothing');
}

/**
 * The text of adapter_config.json.
 * @param textPart of `LoraLayout`: the part that sees has modules of the same names, so a pattern leaves them out.
 */
export function adapterConfigJson(config: LoraConfig, baseModel: string, textPart = false): string {
  const names = [...config.targetModules].sort();
  const fields: Record<string, unknown> = {
    base_model_name_or_path: baseModel,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: config.alpha,
    lora_dropout: config.dropout,
    modules_to_save: null,
    peft_type: 'LORA',
    r: config.r,
    target_modules: textPart ? `model\\.language_model\\.layers\\..*\\.(${names.join('|')})` : names,
    task_type: 'CAUSAL_LM',
    use_rslora: config.useRslora,
  };
  return `${JSON.stringify(fields, null, 2)}\n`;
}

/** The bytes of adapter_model.safetensors. @throws HuacayaError BAD_ADAPTER, see `checkAdapter`. */
export function adapterWeights(layout: LoraLayout, params: Float32Array): Uint8Array {
  checkAdapter(adapterWeightsFile, layout, params);
  const tensors = layout.tensors.map((t) => ({
    name: layout.textPart ? loraTensorName(t).replace('.layers.', '.language_model.layers.') : loraTensorName(t),
    dtype: 'F32' as const,
    shape: [...t.shape],
    data: params.slice(t.offset, t.offset + t.shape[0] * t.shape[1]),
  }));
  return encodeSafetensors(tensors, { format: 'pt' });
}

/** Settings that change what an adapter computes and that this version does not know. */
const unsupported: Record<string, (value: unknown) => boolean> = {
  use_dora: (v) => v === true,
  bias: (v) => v !== 'none' && v !== undefined,
  fan_in_fan_out: (v) => v === true,
  modules_to_save: (v) => Array.isArray(v) && v.length > 0,
  rank_pattern: (v) => typeof v === 'object' && v !== null && Object.keys(v).length > 0,
  alpha_pattern: (v) => typeof v === 'object' && v !== null && Object.keys(v).length > 0,
  layers_to_transform: (v) => v !== null && v !== undefined,
  // MergedLinear of early 2023: one matrix for several projections.
  enable_lora: (v) => v !== null && v !== undefined,
  lora_bias: (v) => v === true,
  use_qalora: (v) => v === true,
  layer_replication: (v) => v !== null && v !== undefined,
  trainable_token_indices: (v) => v !== null && v !== undefined,
  target_parameters: (v) => Array.isArray(v) && v.length > 0,
};

/**
 * target_modules: names, their last segments counting (self_attn.q_proj). A text is a pattern of the author's making: it
 * is never run, the modules are those that the file has tensors for.
 */
function targetModules(where: string, value: unknown, tensorNames: Iterable<string> | undefined): ModuleName[] {
  if (value === 'all-linear') return [...moduleNames];
  if (Array.isArray(value)) {
    const names = value.map((m) => (typeof m === 'string' ? m.replace(/^(self_attn|mlp)\./, '') : m));
    if (names.length > 0 && names.every((m) => moduleNames.includes(m))) return names as ModuleName[];
  } else if (tensorNames && (value === null || value === undefined || typeof value === 'string')) {
    const stored = new Set([...tensorNames].map((name) => /\.(\w+)\.lora_[AB]\./.exec(name)?.[1]));
    const found = moduleNames.filter((m) => stored.has(m));
    if (found.length > 0) return found;
  }
  throw broken(where, `target_modules is ${JSON.stringify(value)}`, `Known: ${moduleNames.join(', ')}.`);
}

/**
 * `lora_A.default.weight` is how a tensor is called in memory; some files of 2023 were saved with that name. In a model that
 * also sees the layers are in `model.language_model`, before transformers 4.52 in `language_model.model`.
 */
const plainName = (name: string) =>
  name
    .replace(/\.(lora_[AB])\.[^.]+\.weight$/, '.$1.weight')
    .replace(
      /^base_model\.model\.(model\.language_model|language_model\.model)\.layers\./,
      'base_model.model.model.layers.',
    );

/** What an adapter without tensors has to hear: issue 293 of tloen/alpaca-lora, where it happened to most. */
export const emptyAdapterHint =
  'The script replaced model.state_dict before save_pretrained, and PEFT then saved nothing. The weights are not in ' +
  'this file: the adapter has to be trained again.';

/**
 * Fields that a file leaves out, as those of 2023 do, are what PEFT assumes; fields without a meaning here are ignored.
 * @param tensorNames of the adapter's weights: tells the modules where target_modules is a pattern or absent.
 * @throws HuacayaError BAD_ADAPTER, USAGE.
 */
export function loraConfigFromJson(
  where: string,
  json: unknown,
  tensorNames?: Iterable<string>,
): { config: LoraConfig; baseModel: string } {
  if (typeof json !== 'object' || json === null) throw broken(where, 'is not a JSON object');
  const c = json as Record<string, unknown>;
  if (c.peft_type !== 'LORA') throw broken(where, `peft_type is ${JSON.stringify(c.peft_type)}, not "LORA"`);
  for (const [key, hit] of Object.entries(unsupported)) {
    if (hit(c[key])) throw broken(where, `${key} = ${JSON.stringify(c[key])} is not supported by this version`);
  }
  const config = checkLoraConfig({
    r: Number(c.r ?? 8),
    alpha: Number(c.lora_alpha ?? 8),
    dropout: Number(c.lora_dropout ?? 0),
    targetModules: targetModules(where, c.target_modules, tensorNames),
    useRslora: c.use_rslora === true,
  });
  return { config, baseModel: typeof c.base_model_name_or_path === 'string' ? c.base_model_name_or_path : '' };
}

/**
 * Reads an adapter's tensors for a model.
 * @throws HuacayaError BAD_ADAPTER naming the tensor that is missing, has another shape, or is not expected.
 */
export async function readAdapter(file: TensorFile, json: unknown, model: LlamaConfig): Promise<Adapter> {
  if (file.tensors.size === 0) throw broken(file.name, 'holds no tensors', emptyAdapterHint);
  const { config, baseModel } = loraConfigFromJson(file.name, json, file.tensors.keys());
  const layout = loraLayout(model, config);
  const params = new Float32Array(layout.size);
  const stored = new Map<string, string>();
  for (const name of file.tensors.keys()) {
    const plain = plainName(name);
    const other = stored.get(plain);
    if (other !== undefined) throw broken(file.name, `holds both ${other} and ${name}: which adapter is meant?`);
    stored.set(plain, name);
  }
  for (const t of layout.tensors) {
    const name = loraTensorName(t);
    const storedName = stored.get(name);
    const found = storedName === undefined ? undefined : file.tensors.get(storedName);
    const trainedOn = baseModel ? `The adapter was trained on ${baseModel}.` : undefined;
    if (storedName === undefined || !found) throw broken(file.name, `has no tensor ${name}`, trainedOn);
    if (found.shape.join() !== t.shape.join()) {
      throw broken(
        file.name,
        `${name} has shape [${found.shape.join(', ')}], this model needs [${t.shape.join(', ')}]`,
        trainedOn,
      );
    }
    params.set(await file.readFloat32(storedName), t.offset);
  }
  if (file.tensors.size !== layout.tensors.length) {
    const expected = new Set(layout.tensors.map(loraTensorName));
    const extra = [...stored].find(([plain]) => !expected.has(plain))?.[1];
    throw broken(file.name, `holds a tensor that its config does not explain: ${extra}`);
  }
  return { layout, params, baseModel };
}
