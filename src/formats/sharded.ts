// A model that an index splits over several files, whatever the format of those: the layout of Hugging Face models.
import { HuacayaError } from '../base/index.ts';
import { fewOpen } from './openFew.ts';
import { quote } from './quote.ts';
import type { ShardIndex } from './shardIndex.ts';
import { findTensor } from './storedTensors.ts';
import type { TensorFile, TensorInfo } from './tensorFile.ts';

/** Shards that stay open at a time: layers lie one after another, so two or three are in use. */
const openShards = 4;

export interface ShardedFile<F extends TensorFile> extends TensorFile {
  /** Runs `work` with the shard that holds a tensor. @throws HuacayaError TENSOR_NOT_FOUND. */
  withShard<T>(tensor: string, work: (shard: F) => Promise<T>): Promise<T>;
}

/**
 * The index holds no shapes, so every shard is opened here to see what it holds, one at a time, and closed again; a shard
 * is opened anew when a tensor in it is read, and few stay open.
 * @param openShard opens a shard by its plain file name.
 * @throws HuacayaError TENSOR_NOT_FOUND (in the index but not in its shard), and whatever `openShard` throws.
 */
export async function openSharded<F extends TensorFile>(
  indexName: string,
  { shardOf, metadata }: ShardIndex,
  openShard: (fileName: string) => Promise<F>,
): Promise<ShardedFile<F>> {
  const contents = new Map<string, ReadonlyMap<string, TensorInfo>>();
  for (const fileName of new Set(shardOf.values())) {
    const shard = await openShard(fileName);
    contents.set(fileName, shard.tensors);
    await shard.close();
  }
  const tensors = new Map<string, TensorInfo>();
  for (const [name, fileName] of shardOf) {
    const info = contents.get(fileName)!.get(name);
    if (!info) {
      throw new HuacayaError('TENSOR_NOT_FOUND', `${indexName}: tensor ${quote(name)} is not in ${quote(fileName)}`, {
        hint: 'The index and the shards belong to different versions of the model: download both again.',
      });
    }
    tensors.set(name, info);
  }
  const shards = fewOpen(openShards, openShard);
  const withShard: ShardedFile<F>['withShard'] = async (name, work) => {
    findTensor(indexName, tensors, name);
    return shards.use(shardOf.get(name)!, work);
  };
  return {
    name: indexName,
    tensors,
    metadata,
    withShard,
    readFloat32: (name, rowStart, rowEnd) => withShard(name, (shard) => shard.readFloat32(name, rowStart, rowEnd)),
    close: () => shards.close(),
  };
}
