// What decides the answers of a batch, as one hash: a file of answers must not be of two halves.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { adapterFolder, baseModelOf, defaultModel, readNotes } from '../../assistant/node.ts';
import { fileError } from '../../base/node.ts';
import { type GenerationFlags, readFlags } from '../generation.ts';
import { modelReference } from '../session.ts';
import { hashOf } from './answerLine.ts';

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  } catch (cause) {
    throw fileError(path, cause);
  }
  return hash.digest('hex');
}

/** An adapter is known by its content: it may move, but not be trained again. The model is known by its name or path. */
export async function batchSettings(flags: GenerationFlags): Promise<string> {
  const { folders, asked } = readFlags(flags);
  const [folder] = Object.values(folders);
  const adapter = folder && (await hashFile(join(adapterFolder(folder), 'adapter_model.safetensors')));
  const base = flags.baseModel ?? (folder && (await baseModelOf(folder))) ?? defaultModel;
  return hashOf({
    base: modelReference(base),
    adapter,
    template: flags.promptTemplateName ?? (folder && (await readNotes(folder))?.prompt_template_name),
    precision: flags.precision,
    knobs: { ...asked, logitBias: [...asked.logitBias], jsonSchema: asked.jsonSchema?.schema },
  });
}
