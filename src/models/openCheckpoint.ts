// Opens a model from a path, whatever its layout: told by the files that are there.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import type { Checkpoint } from './checkpointParts.ts';
import { openGgufCheckpoint } from './openGgufCheckpoint.ts';
import { partsOfOne } from './openGgufParts.ts';
import { openHuggingFaceFolder } from './openHuggingFace.ts';
import { isMetaFolder, openMetaFolder } from './openMeta.ts';
import { openModelFile } from './openModelFile.ts';
import { hasWeightFiles } from './openWeightFiles.ts';

/**
 * @param path a folder with config.json, a tokenizer and weights (safetensors or PyTorch, one file or many); a folder with
 *   Meta's params.json and consolidated.NN.pth; a .gguf file or any part of one; or a folder with one of those.
 * @throws HuacayaError with the file and what is wrong with it; names and shapes of all weights are checked here.
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  if (!existsSync(path)) {
    throw new HuacayaError('MODEL_NOT_FOUND', `${path}: no such model file or folder`, {
      hint: 'Name a folder with config.json, a .gguf file, or pull one: huacaya pull smollm2-135m-instruct',
    });
  }
  if (!statSync(path).isDirectory()) return openModelFile(path);
  const names = readdirSync(path);
  const ggufs = names.filter((f) => f.endsWith('.gguf'));
  // Repositories of GGUF files often keep the config.json of the model that they were made from.
  const config = names.includes('config.json');
  if (config && (hasWeightFiles(path) || ggufs.length === 0)) return openHuggingFaceFolder(path);
  if (!config && isMetaFolder(path)) return openMetaFolder(path);
  const [only] = ggufs.length === 1 ? ggufs : partsOfOne(ggufs);
  if (only) return openGgufCheckpoint(join(path, only));
  const what = ggufs.length > 1 ? `${ggufs.length} .gguf files` : 'no config.json, no params.json, and no .gguf file';
  throw new HuacayaError('MODEL_NOT_FOUND', `${path}: holds ${what}`, { hint: hintFor(path, names, ggufs) });
}

function hintFor(path: string, names: readonly string[], ggufs: readonly string[]): string {
  if (ggufs.length > 1) return `Name one of them: ${ggufs.join(', ')}`;
  if (names.includes('adapter_config.json'))
    return 'This is an adapter: name its base model here, and it as the adapter.';
  const inner = names.find((name) => existsSync(join(path, name, 'config.json')) || isMetaFolder(join(path, name)));
  return inner ? `There is a model in it: ${join(path, basename(inner))}` : 'Is this a model folder?';
}
