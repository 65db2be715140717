// A model split over several safetensors files by a model.safetensors.index.json (the layout of Hugging Face models).
import { type ByteSource, HuacayaError } from '../base/index.ts';
import { quote } from './quote.ts';
import { byteLength, type SafetensorsFile, safetensorsFile } from './safetensors.ts';
import { badSafetensors, readSafetensorsHeader, type SafetensorsHeader } from './safetensorsHeader.ts';
import { findTensor } from './storedTensors.ts';
import { isJsonObject, parseStrictJson } from './strictJson.ts';
import type { RawTensorFile, TensorInfo } from './tensorFile.ts';

/** Opens a shard by its plain file name, which has been checked to hold no path. */
export type OpenShard = (fileName: string) => Promise<ByteSource>;

/** The index only: tensor name -> shard. @throws HuacayaError BAD_SAFETENSORS. */
export function parseShardIndex(indexName: string, indexJson: string) {
  const bad = (why: string) => badSafetensors(indexName, why);
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

/**
 * The index holds no shapes, so the header of every shard is read here, one shard open at a time; for its data a
 * shard is opened again when a tensor in it is first read, and stays open until `close`.
 * @param indexJson text of model.safetensors.index.json
 * @throws HuacayaError BAD_SAFETENSORS, TRUNCATED, TENSOR_NOT_FOUND (in the index but not in its shard),
 *   and whatever `openShard` throws.
 */
export async function openShardedSafetensors(
  indexJson: string,
  openShard: OpenShard,
  indexName = 'model.safetensors.index.json',
): Promise<RawTensorFile> {
  const { shardOf, metadata } = parseShardIndex(indexName, indexJson);
  const shards = new Map<string, Shard>();
  const tensors = new Map<string, TensorInfo>();
  for (const fileName of new Set(shardOf.values())) shards.set(fileName, await createShard(fileName, openShard));
  for (const [name, fileName] of shardOf) {
    const stored = shards.get(fileName)!.header.tensors.get(name);
    if (!stored) {
      throw new HuacayaError('TENSOR_NOT_FOUND', `${indexName}: tensor ${quote(name)} is not in ${quote(fileName)}`, {
        hint: 'The index and the shards belong to different versions of the model: download both again.',
      });
    }
    tensors.set(name, stored.info);
  }
  const shardWith = async (name: string) => {
    findTensor(indexName, tensors, name);
    return shards.get(shardOf.get(name)!)!.data();
  };
  return {
    name: indexName,
    tensors,
    metadata,
    readFloat32: async (name, rowStart, rowEnd) => (await shardWith(name)).readFloat32(name, rowStart, rowEnd),
    byteLength: (name) => byteLength(findTensor(indexName, tensors, name)),
    readBytes: async (name, start, end) => (await shardWith(name)).readBytes(name, start, end),
    async close() {
      await Promise.all([...shards.values()].map((shard) => shard.close()));
    },
  };
}

interface Shard {
  header: SafetensorsHeader;
  data(): Promise<SafetensorsFile>;
  close(): Promise<void>;
}

async function createShard(fileName: string, openShard: OpenShard): Promise<Shard> {
  const first = await openShard(fileName);
  let header: SafetensorsHeader;
  try {
    header = await readSafetensorsHeader(first);
  } finally {
    await first.close();
  }
  const reopen = async () => {
    const source = await openShard(fileName);
    if (source.size === first.size) return safetensorsFile(source, header);
    await source.close();
    throw badSafetensors(source.name, `had ${first.size} bytes when its header was read and has ${source.size} now`);
  };
  // The promise is kept, not the file: two reads at once must not open the shard twice.
  let opened: Promise<SafetensorsFile> | undefined;
  return {
    header,
    data() {
      opened ??= reopen().catch((error) => {
        opened = undefined;
        throw error;
      });
      return opened;
    },
    async close() {
      const file = await opened?.catch(() => undefined);
      opened = undefined;
      await file?.close();
    },
  };
}
