// The arrays tokenizer.ggml.tokens, .scores, .token_type and .merges, checked against one another.
import { badTokenizer, isTokenId, quote } from './definition.ts';

type Metadata = ReadonlyMap<string, unknown>;

/** Values of tokenizer.ggml.token_type. */
export const TokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface GgufVocabulary {
  /** [id] */
  tokens: readonly string[];
  ids: ReadonlyMap<string, number>;
  /** [id], empty when the file has none. */
  types: ArrayLike<number>;
  /** [id] */
  scores: ArrayLike<number> | undefined;
  merges: [string, string][] | undefined;
}

/** @throws HuacayaError BAD_TOKENIZER with both lengths where two arrays disagree. */
export function ggufArrays(metadata: Metadata): GgufVocabulary {
  const tokens = strings(metadata, 'tokens');
  if (!tokens || tokens.length === 0) {
    throw badTokenizer('the file has no tokenizer.ggml.tokens', 'The GGUF is damaged or holds no tokenizer.');
  }
  return {
    tokens,
    ids: new Map(tokens.map((token, id) => [token, id])),
    types: numbers(metadata, 'token_type', tokens.length) ?? [],
    scores: numbers(metadata, 'scores', tokens.length),
    merges: strings(metadata, 'merges')?.map((merge, rank) => {
      const pair = merge.split(' ');
      if (pair.length !== 2)
        throw badTokenizer(`tokenizer.ggml.merges[${rank}] is ${quote(merge)}, not a pair of tokens`);
      return [pair[0]!, pair[1]!];
    }),
  };
}

function strings(metadata: Metadata, key: string): string[] | undefined {
  const value = metadata.get(`tokenizer.ggml.${key}`);
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw badTokenizer(`tokenizer.ggml.${key} is not an array`);
  const wrong = value.findIndex((item) => typeof item !== 'string');
  if (wrong !== -1) throw badTokenizer(`tokenizer.ggml.${key}[${wrong}] is ${quote(value[wrong])}, not a string`);
  return value;
}

function numbers(metadata: Metadata, key: string, length: number): ArrayLike<number> | undefined {
  const value = metadata.get(`tokenizer.ggml.${key}`);
  if (value === undefined) return undefined;
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) throw badTokenizer(`tokenizer.ggml.${key} is not an array`);
  const items = Array.from(value as unknown as ArrayLike<unknown>);
  if (items.length !== length) {
    throw badTokenizer(`tokenizer.ggml.${key} has ${items.length} entries, tokenizer.ggml.tokens has ${length}`);
  }
  const wrong = items.findIndex((item) => typeof item !== 'number' || Number.isNaN(item));
  if (wrong !== -1) throw badTokenizer(`tokenizer.ggml.${key}[${wrong}] is ${quote(items[wrong])}, not a number`);
  return items as number[];
}

/** An id such as bos_token_id; undefined when the file does not give it. @throws BAD_TOKENIZER outside the vocabulary. */
export function ggufId(metadata: Metadata, key: string, vocabSize: number): number | undefined {
  const raw = metadata.get(`tokenizer.ggml.${key}`);
  if (raw === undefined) return undefined;
  const id = typeof raw === 'bigint' ? Number(raw) : raw;
  if (!isTokenId(id) || id >= vocabSize) {
    throw badTokenizer(`tokenizer.ggml.${key} is ${id}, but the vocabulary has ${vocabSize} tokens`);
  }
  return id;
}
