// Names of tensors as programs have saved them, brought to those of Hugging Face's models; and tensors that are no weights.
import { HuacayaError } from '../base/index.ts';
import type { TensorReader } from './weights.ts';

/** Tables that are computed anew, saved by accident: of rotary positions, of the causal mask. */
const computed = /(^|\.)(rotary_emb\.(inv_freq|cos_cached|sin_cached)|rope\.freqs|attn\.(masked_)?bias|masked_bias)$/;

/** Of an adapter that was saved together with its model. */
const ofAdapter = /\.lora_(A|B|embedding_A|embedding_B|magnitude_vector)(\.|$)/;

/** What wrappers of PyTorch and PEFT put in front, and models that also see in front of the part that reads and writes. */
const wrappers = /^(module\.|_orig_mod\.|_forward_module\.|base_model\.|language_model\.|model\.)*$/;

const anchor = 'embed_tokens.weight';

interface Prefix {
  /** What stands before all names of the model, e.g. `module.` or `base_model.model.`. */
  outer: string;
  /** `model.` follows it, as it should. */
  inner: boolean;
}

/** Told by the embedding, which every model has. Undefined: nothing that is known. */
function outerPrefix(names: Iterable<string>): Prefix | undefined {
  const found = new Set<string>();
  for (const name of names) {
    if (name === anchor || name.endsWith(`.${anchor}`)) found.add(name.slice(0, -anchor.length));
  }
  const [prefix] = found;
  if (prefix === undefined || found.size > 1 || !wrappers.test(prefix)) return undefined;
  return /(^|\.)model\.$/.test(prefix)
    ? { outer: prefix.slice(0, -'model.'.length), inner: true }
    : { outer: prefix, inner: false };
}

/**
 * The same file with today's names, and without what is no weight. Nothing is read.
 * @param repairs gets a sentence for what is not called as it should be.
 * @throws HuacayaError BAD_CHECKPOINT when two tensors come to the same name.
 */
export function plainNames<T extends TensorReader>(file: T, repairs: string[]): T {
  const prefix = outerPrefix(file.tensors.keys());
  const storedName = new Map<string, string>();
  const tensors = new Map<string, { shape: readonly number[]; dtype: string }>();
  let adapterTensors = 0;
  let changed = false;
  for (const [stored, info] of file.tensors) {
    if (ofAdapter.test(stored)) adapterTensors++;
    if (computed.test(stored) || ofAdapter.test(stored)) {
      changed = true;
      continue;
    }
    const name = plainName(stored, prefix);
    const other = storedName.get(name);
    if (other !== undefined) {
      throw new HuacayaError('BAD_CHECKPOINT', `${file.name}: holds both ${other} and ${stored}, which are the same`);
    }
    changed ||= name !== stored;
    storedName.set(name, stored);
    tensors.set(name, info);
  }
  if (prefix) notePrefix(prefix, repairs);
  if (adapterTensors > 0) {
    repairs.push(
      `weights: ${adapterTensors} tensors of a LoRA adapter lie among them and are not in use: open them as an adapter`,
    );
  }
  return changed ? renamed(file, tensors, storedName) : file;
}

function notePrefix({ outer, inner }: Prefix, repairs: string[]): void {
  if (outer.endsWith('language_model.')) {
    repairs.push('weights: took the part that reads and writes text; the parts for images are not in use');
    return;
  }
  if (outer !== '') repairs.push(`weights: the names begin with ${outer}: left it out`);
  if (!inner) repairs.push('weights: the names lack model. at the start: put it there');
}

function plainName(stored: string, prefix: Prefix | undefined): string {
  let name = stored;
  if (prefix?.outer && name.startsWith(prefix.outer)) name = name.slice(prefix.outer.length);
  if (prefix && !prefix.inner && /^(embed_tokens|layers|norm)\./.test(name)) name = `model.${name}`;
  // How PEFT calls a matrix that has an adapter beside it.
  return name.replace('.base_layer.', '.');
}

/** Every function that takes a tensor's name takes the plain one. */
function renamed<T extends TensorReader>(
  file: T,
  tensors: ReadonlyMap<string, { shape: readonly number[]; dtype: string }>,
  storedName: ReadonlyMap<string, string>,
): T {
  const stored = (name: string) => storedName.get(name) ?? name;
  const raw = file as Partial<{ byteLength: (name: string) => number; readBytes: RawReader }>;
  return {
    ...file,
    tensors,
    readFloat32: (name: string, first?: number, last?: number) => file.readFloat32(stored(name), first, last),
    ...(raw.byteLength ? { byteLength: (name: string) => raw.byteLength!(stored(name)) } : {}),
    ...(raw.readBytes
      ? { readBytes: (name: string, start?: number, end?: number) => raw.readBytes!(stored(name), start, end) }
      : {}),
  };
}

type RawReader = (name: string, start?: number, end?: number) => Promise<Uint8Array>;
