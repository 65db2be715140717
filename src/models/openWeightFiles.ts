// The weights of a Hugging Face folder: safetensors or PyTorch, in one file or split by an index.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import {
  openSafetensors,
  openSharded,
  openShardedSafetensors,
  openTorchFile,
  parseShardIndex,
  type RawTensorFile,
  type TensorFile,
} from '../formats/index.ts';
import { readText } from './checkpointParts.ts';
import { openWeightFile } from './openWeightFile.ts';

/** The index, or the file that holds everything. safetensors first, as in transformers. */
const layouts = [
  { file: 'model.safetensors', open: async (path: string) => openSafetensors(await openWeightFile(path)) },
  { file: 'model.safetensors.index.json', open: openSafetensorsShards },
  { file: 'pytorch_model.bin', open: async (path: string) => openTorchFile(await openWeightFile(path)) },
  { file: 'pytorch_model.bin.index.json', open: openTorchShards },
] as const;

export const hasWeightFiles = (folder: string): boolean => layouts.some(({ file }) => existsSync(join(folder, file)));

export interface WeightFiles {
  tensors: TensorFile | RawTensorFile;
  /** All files, the index included. */
  files: string[];
}

/**
 * @throws HuacayaError NO_WEIGHTS (none there), MISSING_SHARD (named, all at once), and what reading the formats throws.
 */
export async function openWeightFiles(folder: string): Promise<WeightFiles> {
  const layout = layouts.find(({ file }) => existsSync(join(folder, file)));
  if (!layout) throw noWeights(folder);
  const path = join(folder, layout.file);
  const shards = layout.file.endsWith('.index.json') ? await shardsOf(path) : [];
  const tensors = await layout.open(path);
  return { tensors, files: [path, ...shards] };
}

/** Paths of the files that an index names. */
async function shardsOf(indexPath: string): Promise<string[]> {
  const { shardOf } = await readIndex(indexPath);
  const names = [...new Set(shardOf.values())].sort();
  const folder = join(indexPath, '..');
  const missing = names.filter((name) => !existsSync(join(folder, name)));
  if (missing.length > 0) {
    const more = missing.length > 3 ? ` and ${missing.length - 3} more` : '';
    throw new HuacayaError(
      'MISSING_SHARD',
      `${folder}: ${missing.length} of ${names.length} weight files are missing: ${missing.slice(0, 3).join(', ')}${more}`,
      { hint: 'The download is not complete: pull the model again, only what is missing will be fetched.' },
    );
  }
  return names.map((name) => join(folder, name));
}

const badIndex = (file: string, why: string) =>
  new HuacayaError('BAD_SHARD_INDEX', `${file}: ${why}`, { hint: 'The index is damaged: download it again.' });

async function readIndex(path: string) {
  const makeError = path.endsWith('.bin.index.json') ? badIndex : undefined;
  return parseShardIndex(path, await readText(path), makeError);
}

async function openSafetensorsShards(path: string): Promise<RawTensorFile> {
  return openShardedSafetensors(await readText(path), (name) => openWeightFile(join(path, '..', name)), path);
}

async function openTorchShards(path: string): Promise<TensorFile> {
  const open = async (name: string) => openTorchFile(await openWeightFile(join(path, '..', name)));
  return openSharded(path, await readIndex(path), open);
}

function noWeights(folder: string): HuacayaError {
  const others = readdirSync(folder).filter((name) => /\.(safetensors|bin|pth|pt|gguf|h5|msgpack)$/.test(name));
  const adapter = others.some((name) => name.startsWith('adapter_model.'));
  const hint = adapter
    ? 'This is an adapter: name its base model here, and the folder as the adapter.'
    : 'Weights are read from model.safetensors, pytorch_model.bin, or the shards of their .index.json.';
  const found = others.length > 0 ? `; there are ${others.slice(0, 5).join(', ')}` : '';
  return new HuacayaError('NO_WEIGHTS', `${folder}: has no weights that can be read${found}`, { hint });
}
