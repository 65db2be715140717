// A model split over several safetensors files by a model.safetensors.index.json (the layout of Hugging Face models).
import type { ByteSource } from '../base/index.ts';
import { byteLength, type SafetensorsFile, safetensorsFile } from './safetensors.ts';
import { badSafetensors, readSafetensorsHeader, type SafetensorsHeader } from './safetensorsHeader.ts';
import { openSharded } from './sharded.ts';
import { parseShardIndex } from './shardIndex.ts';
import { findTensor } from './storedTensors.ts';
import type { RawTensorFile } from './tensorFile.ts';

/** Opens a shard by its plain file name, which has been checked to hold no path. */
export type OpenShard = (fileName: string) => Promise<ByteSource>;

/**
 * The header of every shard is read here; for its data a shard is opened again when a tensor in it is read.
 * @param indexJson text of model.safetensors.index.json
 * @throws HuacayaError BAD_SAFETENSORS, TRUNCATED, TENSOR_NOT_FOUND (in the index but not in its shard),
 *   and whatever `openShard` throws.
 */
export async function openShardedSafetensors(
  indexJson: string,
  openShard: OpenShard,
  indexName = 'model.safetensors.index.json',
): Promise<RawTensorFile> {
  const seen = new Map<string, { size: number; header: SafetensorsHeader }>();
  const open = async (fileName: string): Promise<SafetensorsFile> => {
    const source = await openShard(fileName);
    try {
      const before = seen.get(fileName);
      if (before && before.size !== source.size) {
        throw badSafetensors(
          source.name,
          `had ${before.size} bytes when its header was read and has ${source.size} now`,
        );
      }
      const header = before?.header ?? (await readSafetensorsHeader(source));
      seen.set(fileName, { size: source.size, header });
      return safetensorsFile(source, header);
    } catch (error) {
      await source.close();
      throw error;
    }
  };
  const { withShard, ...file } = await openSharded(indexName, parseShardIndex(indexName, indexJson), open);
  return {
    ...file,
    byteLength: (name) => byteLength(findTensor(indexName, file.tensors, name)),
    readBytes: (name, start, end) => withShard(name, (shard) => shard.readBytes(name, start, end)),
  };
}
