// Reads tokenizer.json of a Hugging Face folder (format of the `tokenizers` library) with tokenizer_config.json.
import { markSpecial, readAddedTokens } from './addedTokenList.ts';
import { createTokenizer } from './createTokenizer.ts';
import {
  type AddedToken,
  type BpeDefinition,
  badTokenizer,
  isObject,
  isTokenId,
  quote,
  unsupported,
} from './definition.ts';
import { chatTemplateOf, namedTokens, type SpecialTokenFiles, specialIds } from './specialTokens.ts';
import { readDecodeRule } from './tokenBytes.ts';
import type { Tokenizer } from './tokenizer.ts';

const HINT = 'Is this the tokenizer.json of a Hugging Face model folder?';
const bad = (message: string) => badTokenizer(`tokenizer.json: ${message}`, HINT);

/**
 * @param tokenizerJson, tokenizerConfig, specialTokensMap the parsed files; the last two may be absent.
 * A repository that keeps its template in chat_template.jinja: pass it as tokenizerConfig.chat_template.
 * @throws HuacayaError BAD_TOKENIZER, TOKENIZER_UNSUPPORTED (another kind than BPE, unknown parts).
 */
export function fromTokenizerJson(
  tokenizerJson: unknown,
  tokenizerConfig?: unknown,
  specialTokensMap?: unknown,
): Tokenizer {
  if (!isObject(tokenizerJson)) throw bad('is not a JSON object');
  const files: SpecialTokenFiles = {
    config: isObject(tokenizerConfig) ? tokenizerConfig : {},
    map: isObject(specialTokensMap) ? specialTokensMap : {},
  };
  const repairs: string[] = [];
  const model = readModel(tokenizerJson.model);
  const added = readAddedTokens(
    tokenizerJson.added_tokens,
    files.config.added_tokens_decoder,
    (token) => model.vocab.get(token),
    repairs,
    bad,
  );
  const named = namedTokens(files, idLookup(model, added), repairs);
  markSpecial(added, named.values());
  return createTokenizer({
    model,
    added: [...added.values()],
    normalizer: part(tokenizerJson, 'normalizer'),
    preTokenizer: part(tokenizerJson, 'pre_tokenizer'),
    decode: readDecodeRule(part(tokenizerJson, 'decoder')),
    special: specialIds(named, files, tokenizerJson.post_processor),
    chatTemplate: chatTemplateOf(files.config.chat_template),
    repairs,
  });
}

function part(json: Record<string, unknown>, key: string) {
  const value = json[key];
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw bad(`${key} is ${quote(value)}, not an object`);
  return value;
}

function readModel(model: unknown): BpeDefinition {
  if (!isObject(model) || !isObject(model.vocab)) throw bad('has no model with a vocabulary');
  // Old files leave the type out.
  if (model.type !== 'BPE' && !(model.type === undefined && Array.isArray(model.merges))) {
    throw unsupported(`tokenizer.json: the model is of type ${quote(model.type)}, not BPE`);
  }
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[key]) throw unsupported(`tokenizer.json: model.${key} is ${quote(model[key])}`);
  }
  const vocab = new Map<string, number>();
  for (const [token, id] of Object.entries(model.vocab)) {
    if (!isTokenId(id)) throw bad(`token ${quote(token)} has the id ${quote(id)}`);
    vocab.set(token, id);
  }
  if (!Array.isArray(model.merges)) throw bad('model.merges is not a list');
  return {
    vocab,
    merges: model.merges.map((merge, rank) => readMerge(merge, rank)),
    ...(typeof model.unk_token === 'string' ? { unkToken: model.unk_token } : {}),
    fuseUnk: model.fuse_unk === true,
    byteFallback: model.byte_fallback === true,
    ignoreMerges: model.ignore_merges === true,
  };
}

/** 'a b', or ['a', 'b'] since 2024. */
function readMerge(merge: unknown, rank: number): [string, string] {
  const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
  if (Array.isArray(pair) && pair.length === 2 && typeof pair[0] === 'string' && typeof pair[1] === 'string') {
    return [pair[0], pair[1]];
  }
  throw bad(`merge ${rank} is ${quote(merge)}, not a pair of tokens`);
}

const idLookup = (model: BpeDefinition, added: ReadonlyMap<string, AddedToken>) => (token: string) =>
  added.get(token)?.id ?? model.vocab.get(token);
