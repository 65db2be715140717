// The index of a model that is split over several files: *.index.json of Hugging Face, tensor name -> file.
import type { HuacayaError } from '../base/index.ts';
import { quote } from './quote.ts';
import { badSafetensors } from './safetensorsHeader.ts';
import { isJsonObject, parseStrictJson } from './strictJson.ts';

export interface ShardIndex {
  /** Tensor name -> plain file name, in the order of the index. */
  shardOf: Map<string, string>;
  metadata: Map<string, unknown>;
}

/**
 * @param indexJson its text. @param makeError for what is wrong with it.
 * @throws HuacayaError BAD_SAFETENSORS, or what `makeError` makes.
 */
export function parseShardIndex(
  indexName: string,
  indexJson: string,
  makeError: (file: string, why: string) => HuacayaError = badSafetensors,
): ShardIndex {
  const bad = (why: string) => makeError(indexName, why);
  const root = parseStrictJson(indexJson, bad);
  if (!isJsonObject(root) || !isJsonObject(root.weight_map)) throw bad('has no "weight_map" object');
  const shardOf = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(root.weight_map)) {
    if (typeof shard !== 'string' || !isPlainFileName(shard)) {
      throw bad(`tensor ${quote(tensor)} is said to be in ${quote(String(shard))}, which is not a plain file name`);
    }
    shardOf.set(tensor, shard);
  }
  const metadata = new Map<string, unknown>(isJsonObject(root.metadata) ? Object.entries(root.metadata) : []);
  return { shardOf, metadata };
}

/** No separators, no parent folder, no drive or stream (`:`), no control characters. */
function isPlainFileName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return name !== '' && name !== '.' && !name.includes('..') && !/[/\\:\u0000-\u001f]/.test(name);
}
