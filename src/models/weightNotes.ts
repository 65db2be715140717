// What a Hugging Face file holds beside the weights that the configuration asks for. None of it stops a model, all of it is said.
import type { LlamaConfig } from './config.ts';
import { allRoles, huggingFaceName, type TensorReader } from './weights.ts';

/**
 * A head that the configuration ties to the embedding. transformers goes by the configuration and uses the embedding; so
 * does `WeightSource`. Most files hold the same numbers twice. Where a few rows show that they do not, it is said.
 */
export async function noteTiedHead(file: TensorReader, c: LlamaConfig, repairs: string[]): Promise<void> {
  const head = huggingFaceName({ kind: 'head' }, c);
  const embedding = huggingFaceName({ kind: 'embedding' }, c);
  const stored = file.tensors.get(head);
  // Codes of a quantisation cannot be held against numbers.
  if (!c.tiedHead || !stored || !/^B?F\d+$/.test(stored.dtype)) return;
  const same = stored.shape.join() === file.tensors.get(embedding)?.shape.join();
  if (!same || (await rowsDiffer(file, head, embedding, c)))
    repairs.push(`weights: ${head} is not the embedding, but config.json ties them: took the embedding`);
}

async function rowsDiffer(file: TensorReader, a: string, b: string, c: LlamaConfig): Promise<boolean> {
  for (const row of [0, c.vocabSize >> 1, c.vocabSize - 1]) {
    const [x, y] = [await file.readFloat32(a, row, row + 1), await file.readFloat32(b, row, row + 1)];
    if (x.some((value, i) => value !== y[i])) return true;
  }
  return false;
}

/** Biases, norms or whole layers that the configuration knows nothing of: the answers would be those of another model. */
export function noteUnused(file: TensorReader, c: LlamaConfig, repairs: string[]): void {
  const used = new Set([...allRoles(c)].map((role) => huggingFaceName(role, c)));
  const fused = /\.(qkv_proj|gate_up_proj)\.weight$/;
  const unused = [...file.tensors.keys()].filter(
    (name) => /^model\.layers\.\d+\..*\.(weight|bias)$/.test(name) && !used.has(name) && !(c.fused && fused.test(name)),
  );
  if (unused.length === 0) return;
  repairs.push(
    `weights: ${unused.length} tensors of layers are not in use, such as ${unused[0]}: does config.json belong to them?`,
  );
}
