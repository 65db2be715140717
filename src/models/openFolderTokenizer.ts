// The tokenizer of a model folder: tokenizer.json with what lies beside it, or SentencePiece's tokenizer.model.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import { openFile } from '../base/node.ts';
import { parseSentencePieceModel, type SentencePieceModel } from '../formats/index.ts';
import {
  fromSentencePiece,
  fromTokenizerJson,
  mendTokens,
  type Tokenizer,
  withAddedTokens,
} from '../tokenizer/index.ts';
import { readJson, readJsonIfThere } from './checkpointParts.ts';
import { noteTokenizerClass } from './mendConfig.ts';

/**
 * @param model parsed config.json, and the rows of the embedding: tokens past them are left out.
 * @param repairs gets what was wrong with tokenizer_config.json; the rest is in the tokenizer's own list.
 * @throws HuacayaError NO_TOKENIZER, BAD_TOKENIZER, TOKENIZER_UNSUPPORTED, BAD_JSON.
 */
export async function openFolderTokenizer(
  folder: string,
  model: { config: unknown; vocabSize: number },
  repairs: string[],
): Promise<Tokenizer> {
  const optional = (name: string) => readJsonIfThere(join(folder, name));
  const tokenizerConfig = ((await optional('tokenizer_config.json')) ?? {}) as Record<string, unknown>;
  noteTokenizerClass(tokenizerConfig, repairs);
  const template = join(folder, 'chat_template.jinja');
  if (existsSync(template)) tokenizerConfig.chat_template ??= await readFile(template, 'utf8');
  const said: string[] = [];
  const added = await optional('added_tokens.json');
  const config = withAddedTokens(tokenizerConfig, added, model.vocabSize, said);
  const map = await optional('special_tokens_map.json');
  const read = existsSync(join(folder, 'tokenizer.json'))
    ? fromTokenizerJson(await readJson(join(folder, 'tokenizer.json')), config, map)
    : fromSentencePiece(await readPieces(folder), config, map);
  if (read.vocabSize > model.vocabSize) {
    repairs.push(
      `the tokenizer has ${read.vocabSize} tokens, the model rows for ${model.vocabSize}: do they belong together?`,
    );
  }
  return mendTokens(read, { config: model.config, generation: await optional('generation_config.json') }, said);
}

async function readPieces(folder: string): Promise<SentencePieceModel> {
  const path = join(folder, 'tokenizer.model');
  if (!existsSync(path)) {
    throw new HuacayaError('NO_TOKENIZER', `${folder}: has neither tokenizer.json nor tokenizer.model`, {
      hint: 'Copy one of them from the model it was made from; a GGUF file of the same model carries its tokenizer too.',
    });
  }
  const source = await openFile(path);
  try {
    // One that is larger is refused by its length.
    return parseSentencePieceModel(await source.read(0, Math.min(source.size, mostBytes)), path);
  } finally {
    await source.close();
  }
}

const mostBytes = 1 << 27;
