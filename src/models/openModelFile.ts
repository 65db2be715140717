// A path that is a file: a GGUF model whatever its name, or something that is no model by itself.
import { dirname } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import type { Checkpoint } from './checkpointParts.ts';
import { openGgufCheckpoint } from './openGgufCheckpoint.ts';
import { openWeightFile } from './openWeightFile.ts';

/** Magic numbers of llama.cpp's files before GGUF, as they lie in the file. */
const oldMagics = ['lmgg', 'fmgg', 'tjgg'];

/** @throws HuacayaError MODEL_NOT_FOUND (a part of a model), UNSUPPORTED_FORMAT (GGML), and what opening GGUF throws. */
export async function openModelFile(path: string): Promise<Checkpoint> {
  const magic = await magicOf(path);
  if (oldMagics.includes(magic)) {
    throw new HuacayaError('UNSUPPORTED_FORMAT', `${path}: is a GGML file, which llama.cpp wrote until August 2023`, {
      hint: "Use a GGUF file of the same model, or turn it into one with llama.cpp's convert_llama_ggml_to_gguf.py.",
    });
  }
  const part = magic !== 'GGUF' && /\.(safetensors|bin|pth|pt|json|model)$/.test(path);
  if (!part) return openGgufCheckpoint(path);
  throw new HuacayaError('MODEL_NOT_FOUND', `${path}: is a part of a model; a model of this kind is a folder`, {
    hint: `Name the folder: ${dirname(path)}`,
  });
}

async function magicOf(path: string): Promise<string> {
  const source = await openWeightFile(path);
  try {
    return new TextDecoder('latin1').decode(await source.read(0, Math.min(4, source.size)));
  } finally {
    await source.close();
  }
}
