// Token ids that a model folder tells outside the tokenizer's own files: config.json, generation_config.json and
// added_tokens.json. Conversions of early 2023 have 0, 1 and -1 there where the vocabulary says otherwise.
import { isObject, isTokenId, quote } from './definition.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * tokenizer_config.json with the tokens of added_tokens.json that it and tokenizer.json leave out.
 * @param vocabSize rows of the embedding: a token past them is left out, the model has no vector for it.
 */
export function withAddedTokens(
  tokenizerConfig: Record<string, unknown>,
  addedTokens: unknown,
  vocabSize: number,
  repairs: string[],
): Record<string, unknown> {
  if (!isObject(addedTokens)) return tokenizerConfig;
  const decoder = isObject(tokenizerConfig.added_tokens_decoder) ? tokenizerConfig.added_tokens_decoder : {};
  const missing: Record<string, unknown> = {};
  for (const [content, id] of Object.entries(addedTokens)) {
    if (!isTokenId(id) || id >= vocabSize) {
      repairs.push(
        `added_tokens.json gives ${quote(content)} the id ${quote(id)}, but the model has ${vocabSize} rows: left it out`,
      );
    } else if (decoder[id] === undefined) missing[id] = { content, special: false };
  }
  return { ...tokenizerConfig, added_tokens_decoder: { ...missing, ...decoder } };
}

/**
 * A tokenizer that knows what the model's files say about its ids: every id that ends a reply, and what was not believed.
 * @param files the parsed files; undefined where there is none.
 */
export function mendTokens(
  tokenizer: Tokenizer,
  files: { config?: unknown; generation?: unknown },
  repairs: readonly string[] = [],
): Tokenizer {
  const said: string[] = [];
  const ends = new Set(tokenizer.eosIds);
  for (const [file, json] of [
    ['config.json', files.config],
    ['generation_config.json', files.generation],
  ] as const) {
    if (!isObject(json)) continue;
    const wrong = (key: string, id: unknown, why: string, instead: number | undefined) =>
      said.push(`${file}: ${key} is ${quote(id)}, ${why}: ${instead === undefined ? 'ignored' : `took ${instead}`}`);
    const bos = json.bos_token_id;
    const noBos = bos === undefined || bos === null ? undefined : whyNot(tokenizer, bos, 'bos');
    if (noBos) wrong('bos_token_id', bos, noBos, tokenizer.bosId);
    const pad = json.pad_token_id;
    if (typeof pad === 'number' && !isToken(tokenizer, pad)) {
      wrong('pad_token_id', pad, 'which is no token', tokenizer.padId);
    }
    const eos = json.eos_token_id;
    for (const id of Array.isArray(eos) ? eos : [eos]) {
      if (id === undefined || id === null) continue;
      const noEos = whyNot(tokenizer, id, 'eos');
      if (noEos) wrong('eos_token_id', id, noEos, tokenizer.eosId);
      else ends.add(id as number);
    }
  }
  return { ...tokenizer, eosIds: [...ends], repairs: [...tokenizer.repairs, ...repairs, ...new Set(said)] };
}

const isToken = (tokenizer: Tokenizer, id: unknown): id is number => {
  if (!isTokenId(id) || id >= tokenizer.vocabSize) return false;
  try {
    return typeof tokenizer.tokenText(id) === 'string';
  } catch {
    return false;
  }
};

/** Why an id cannot be the begin or the end of a text; undefined: it can. */
function whyNot(tokenizer: Tokenizer, id: unknown, role: 'bos' | 'eos'): string | undefined {
  const own = role === 'bos' ? tokenizer.bosId : tokenizer.eosId;
  if (id === own) return undefined;
  if (!isToken(tokenizer, id)) return 'which is no token';
  const text = tokenizer.tokenText(id);
  // Without a token of its own the tokenizer cannot contradict.
  if (own !== undefined && text === '<unk>') return `which is ${quote(text)}`;
  if (role === 'eos' && own !== undefined && id === tokenizer.bosId) return `which is ${quote(text)}, the begin`;
  return undefined;
}
