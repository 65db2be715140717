// Opens a GGUF model, which carries its configuration and its tokenizer with it.
import { basename } from 'node:path';
import type { GgufFile } from '../formats/index.ts';
import { fromGguf } from '../tokenizer/index.ts';
import { type Checkpoint, storedAs } from './checkpointParts.ts';
import { configFromGguf, type RopeFactors } from './ggufConfig.ts';
import { ggufWeights } from './ggufWeights.ts';
import { openGgufParts } from './openGgufParts.ts';

/** @param path of a file, or of any part of one. @throws HuacayaError with the file and what is wrong with it. */
export async function openGgufCheckpoint(path: string): Promise<Checkpoint> {
  const { file, paths } = await openGgufParts(path);
  try {
    const config = configFromGguf(path, file.metadata, file.tensors, await readFactors(file));
    const tokenizer = fromGguf(file.metadata);
    const license = file.metadata.get('general.license');
    return {
      path,
      name: basename(path),
      config,
      weights: ggufWeights(file, config),
      files: paths,
      tokenizer,
      storedAs: storedAs(file.tensors),
      repairs: tokenizer.repairs,
      ...(typeof license === 'string' ? { license } : {}),
    };
  } catch (e) {
    await file.close();
    throw e;
  }
}

/** LongRoPE's lists, where the file has them. */
async function readFactors(file: GgufFile): Promise<RopeFactors | undefined> {
  const [short, long] = ['rope_factors_short.weight', 'rope_factors_long.weight'] as const;
  if (!file.tensors.has(short) || !file.tensors.has(long)) return undefined;
  return { short: await file.readFloat32(short), long: await file.readFloat32(long) };
}
