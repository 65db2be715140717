// Meta's consolidated.NN.pth: a model cut for model parallelism. Most matrices are cut by rows, some by columns, norms are in
// every file. Which way a matrix was cut is told by its shape: tok_embeddings by columns up to Llama 2, by rows since.
import { HuacayaError } from '../base/index.ts';
import type { TensorReader } from './weights.ts';

/** One matrix or vector over all shards. */
export interface JoinedTensor {
  name: string;
  /** Of the whole. */
  shape: readonly number[];
  /** 'whole': every shard has all of it. */
  cut: 'rows' | 'columns' | 'whole';
}

/** Cut by columns: what takes the parts of a vector in. tok_embeddings is found out. */
const byColumns = /(^|\.)(wo|w2)\.weight$/;

/** Rows read at a time from each shard while columns are put together: 4 MiB of float32. */
const pieceElements = 1 << 20;

const disagree = (shard: TensorReader, why: string) =>
  new HuacayaError('SHARDS_DISAGREE', `${shard.name}: ${why}`, {
    hint: 'The files belong to different models or downloads: download all of them again.',
  });

/** What params.json says that tells how tensors were cut: width of the model, and of what its heads give together. */
export interface MetaWidths {
  dim: number;
  attention: number;
}

/**
 * How the tensors of all shards fit together.
 * @throws HuacayaError SHARDS_DISAGREE, MISSING_TENSOR, MISSING_SHARD.
 */
export function joinShards(shards: readonly TensorReader[], widths: MetaWidths): Map<string, JoinedTensor> {
  const [first] = shards;
  const joined = new Map<string, JoinedTensor>();
  for (const [name, { shape, dtype }] of first!.tensors) {
    for (const shard of shards.slice(1)) {
      const other = shard.tensors.get(name);
      if (!other) throw disagree(shard, `has no tensor ${name}, ${first!.name} has`);
      if (other.shape.join() !== shape.join() || other.dtype !== dtype) {
        throw disagree(
          shard,
          `${name} is ${other.dtype} [${other.shape.join(', ')}], in ${first!.name} ${dtype} [${shape.join(', ')}]`,
        );
      }
    }
    joined.set(name, joinOne(name, shape, shards.length, widths.dim));
  }
  const extra = shards.flatMap((shard) => [...shard.tensors.keys()].map((name) => ({ shard, name })));
  const alone = extra.find(({ name }) => !joined.has(name));
  if (alone) throw disagree(alone.shard, `has a tensor ${alone.name}, ${first!.name} has not`);
  checkCount(first!, shards.length, widths.attention);
  return joined;
}

function joinOne(name: string, shape: readonly number[], count: number, dim: number): JoinedTensor {
  const [rows, columns] = shape;
  if (shape.length !== 2 || count === 1) return { name, shape, cut: 'whole' };
  const embeddingByColumns = name === 'tok_embeddings.weight' && columns! * count === dim;
  return byColumns.test(name) || embeddingByColumns
    ? { name, shape: [rows!, columns! * count], cut: 'columns' }
    : { name, shape: [rows! * count, columns!], cut: 'rows' };
}

/** The columns of wo, all shards together, are what the heads give together: so one shard tells how many there are. */
function checkCount(first: TensorReader, count: number, attention: number): void {
  const shape = first.tensors.get('layers.0.attention.wo.weight')?.shape;
  if (!shape) {
    throw new HuacayaError('MISSING_TENSOR', `${first.name}: has no tensor layers.0.attention.wo.weight`, {
      hint: "This does not look like one of Meta's LLaMA checkpoints.",
    });
  }
  const wanted = attention / shape[1]!;
  if (wanted === count) return;
  throw new HuacayaError(
    'MISSING_SHARD',
    `${first.name}: was cut for ${wanted} files consolidated.00.pth and so on, there are ${count}`,
    { hint: wanted > count ? 'Download the others into the same folder.' : 'Do these files belong to one model?' },
  );
}

/** Rows [first, last) of a joined tensor; of vectors everything. Besides the result, one piece is in memory at a time. */
export async function readJoined(
  shards: readonly TensorReader[],
  { name, shape, cut }: JoinedTensor,
  [first, last]: readonly [number, number],
): Promise<Float32Array> {
  if (cut === 'whole')
    return shape.length < 2 ? shards[0]!.readFloat32(name) : shards[0]!.readFloat32(name, first, last);
  const width = shape[1]!;
  const out = new Float32Array((last - first) * width);
  if (cut === 'rows') {
    const each = shape[0]! / shards.length;
    for (const [i, shard] of shards.entries()) {
      const [from, to] = [Math.max(first, i * each), Math.min(last, (i + 1) * each)];
      await inPieces(from, to, width, async (a, b) => {
        out.set(await shard.readFloat32(name, a - i * each, b - i * each), (a - first) * width);
      });
    }
    return out;
  }
  const each = width / shards.length;
  for (const [i, shard] of shards.entries()) {
    await inPieces(first, last, each, async (a, b) => {
      const part = await shard.readFloat32(name, a, b);
      for (let row = a; row < b; row++) {
        out.set(part.subarray((row - a) * each, (row - a + 1) * each), (row - first) * width + i * each);
      }
    });
  }
  return out;
}

async function inPieces(from: number, to: number, width: number, work: (a: number, b: number) => Promise<void>) {
  const rows = Math.max(1, Math.floor(pieceElements / width));
  for (let a = from; a < to; a += rows) await work(a, Math.min(to, a + rows));
}

/**
 * Every shard has the norms whole; those of another model would give nonsense and no error.
 * @throws HuacayaError SHARDS_DISAGREE when the last norm is not about the same in all of them.
 */
export async function checkNorms(shards: readonly TensorReader[]): Promise<void> {
  const name = 'norm.weight';
  const [first, ...others] = shards.filter((shard) => shard.tensors.has(name));
  if (!first) return;
  const expected = await first.readFloat32(name);
  for (const shard of others) {
    const found = await shard.readFloat32(name);
    const far = expected.findIndex((w, i) => Math.abs(w - found[i]!) > 0.01 * Math.max(Math.abs(w), 0.01));
    if (far >= 0) throw disagree(shard, `${name}[${far}] is ${found[far]}, in ${first.name} ${expected[far]}`);
  }
}
