// Two small vocabularies with the ids that Python's `tokenizers` gives, and tokenizers made from them.
import { readFileSync } from 'node:fs';
import { fromGguf, fromTokenizerJson, type Tokenizer } from '../../../src/tokenizer/index.ts';

export interface Case {
  text: string;
  ids: number[];
  /** With special tokens taken as text, where that differs. */
  plainIds?: number[];
  decoded: string;
  /** Without special tokens; absent where the reference keeps special tokens that are matched in normalized text. */
  visible?: string;
}

interface Variant {
  pipeline: Record<string, unknown>;
  cases: Case[];
}

const load = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../fixtures/tokenizer/${name}.json`, import.meta.url), 'utf8'));

export const byteLevel = load('byte-level') as {
  tokens: string[];
  merges: string[];
  special: string[];
  user: string[];
  variants: Record<string, Variant & { ignoreMerges: boolean }>;
};

export const sentencePiece = load('sentencepiece') as {
  pieces: string[];
  scores: number[];
  types: number[];
  merges: [string, string][];
  variants: Record<string, Variant & { byteFallback: boolean; fuseUnk: boolean }>;
};

const vocabOf = (tokens: readonly string[]) => Object.fromEntries(tokens.map((token, id) => [token, id]));

/** The tokenizer.json of a variant. */
export function byteLevelJson(name: string) {
  const { pipeline, ignoreMerges } = byteLevel.variants[name]!;
  const { tokens, merges } = byteLevel;
  return { ...pipeline, model: { type: 'BPE', vocab: vocabOf(tokens), merges, ignore_merges: ignoreMerges } };
}

export function sentencePieceJson(name: string) {
  const { pipeline, byteFallback, fuseUnk } = sentencePiece.variants[name]!;
  const pieces = Object.entries(vocabOf(sentencePiece.pieces));
  return {
    ...pipeline,
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(pieces.filter(([piece]) => byteFallback || !piece.startsWith('<0x'))),
      merges: sentencePiece.merges,
      unk_token: '<unk>',
      fuse_unk: fuseUnk,
      byte_fallback: byteFallback,
    },
  };
}

/** GGUF metadata, keys without their prefix tokenizer.ggml.; undefined leaves a key out. */
export function metadata(entries: Record<string, unknown>): Map<string, unknown> {
  const map = new Map<string, unknown>();
  for (const [key, value] of Object.entries(entries)) if (value !== undefined) map.set(`tokenizer.ggml.${key}`, value);
  return map;
}

export function byteLevelGguf(changes: Record<string, unknown> = {}): Map<string, unknown> {
  const { tokens, special, user, merges } = byteLevel;
  const types = [...tokens.map(() => 1), ...special.map(() => 3), ...user.map(() => 4)];
  return metadata({
    model: 'gpt2',
    pre: 'smollm',
    tokens: [...tokens, ...special, ...user],
    token_type: Int32Array.from(types),
    merges,
    bos_token_id: tokens.length,
    eos_token_id: tokens.length + 1,
    ...changes,
  });
}

export function sentencePieceGguf(changes: Record<string, unknown> = {}): Map<string, unknown> {
  const { pieces, scores, types } = sentencePiece;
  return metadata({
    model: 'llama',
    tokens: pieces,
    scores: Float32Array.from(scores),
    token_type: Int32Array.from(types),
    bos_token_id: 1,
    eos_token_id: 2,
    unknown_token_id: 0,
    ...changes,
  });
}

/** One of each kind of decoding, for properties. */
export const everyKind: [string, Tokenizer][] = [
  ['byte-level', fromGguf(byteLevelGguf())],
  ['SentencePiece', fromGguf(sentencePieceGguf())],
  ['SentencePiece without prefix', fromGguf(sentencePieceGguf({ add_space_prefix: false }))],
  ['Metaspace', fromTokenizerJson(sentencePieceJson('metaspace-first'))],
];
