// Opens a folder as on the Hugging Face hub: config.json, a tokenizer, weights.
import { basename, join } from 'node:path';
import type { RawTensorFile, TensorFile } from '../formats/index.ts';
import type { RawTensorReader } from './bitsandbytesParts.ts';
import { bitsandbytesWeights, isBitsandbytes } from './bitsandbytesWeights.ts';
import { type Checkpoint, readJson, storedAs } from './checkpointParts.ts';
import { configFromJson, type LlamaConfig } from './config.ts';
import { licenseOf } from './license.ts';
import { mendConfig } from './mendConfig.ts';
import { openFolderTokenizer } from './openFolderTokenizer.ts';
import { openWeightFiles } from './openWeightFiles.ts';
import { checkQuantisationConfig } from './quantisationConfig.ts';
import { plainNames } from './tensorNames.ts';
import { noteTiedHead, noteUnused } from './weightNotes.ts';
import { huggingFaceWeights, type WeightSource } from './weights.ts';

/** @throws HuacayaError with the file and what is wrong with it; names and shapes of all weights are checked here. */
export async function openHuggingFaceFolder(folder: string): Promise<Checkpoint> {
  const repairs: string[] = [];
  const configPath = join(folder, 'config.json');
  const configJson = mendConfig(await readJson(configPath), repairs);
  const config = configFromJson(configPath, configJson);
  checkQuantisationConfig(configPath, configJson);
  const tokenizer = await openFolderTokenizer(folder, { config: configJson, vocabSize: config.vocabSize }, repairs);
  const { tensors, files } = await openWeightFiles(folder);
  try {
    const named = plainNames(tensors, repairs);
    const weights = await weightsOf(named, config);
    await noteTiedHead(named, config, repairs);
    noteUnused(named, config, repairs);
    const license = await licenseOf(folder);
    return {
      path: folder,
      name: basename(folder),
      config,
      weights,
      files: [configPath, ...files],
      tokenizer,
      storedAs: storedAs(named.tensors),
      repairs: [...repairs, ...tokenizer.repairs],
      ...(license ? { license } : {}),
    };
  } catch (e) {
    await tensors.close();
    throw e;
  }
}

async function weightsOf(tensors: TensorFile | RawTensorFile, config: LlamaConfig): Promise<WeightSource> {
  // PyTorch files of bitsandbytes lack the states that say what the codes mean.
  const raw = 'readBytes' in tensors && isBitsandbytes(tensors);
  return raw ? bitsandbytesWeights(tensors satisfies RawTensorReader, config) : huggingFaceWeights(tensors, config);
}
