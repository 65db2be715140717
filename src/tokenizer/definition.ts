// What all kinds of files (tokenizer.json, GGUF, tokenizer.model) are turned into before a tokenizer is built, and checks on loose data.
import { HuacayaError } from '../base/index.ts';

/** A piece of tokenizer.json, in its own spelling: { type: 'Split', ... }. */
export type JsonPart = Readonly<Record<string, unknown>>;

/** A token that is found in the text before anything else happens; fields as in tokenizer.json. */
export interface AddedToken {
  id: number;
  content: string;
  /** Left out by decode(ids, { skipSpecial: true }), not parsed by encode(text, { special: false }). */
  special: boolean;
  /** Matched in the normalized text, not in the raw one. */
  normalized: boolean;
  /** Swallows white space to its left / right. */
  lstrip: boolean;
  rstrip: boolean;
  /** Only between non-word characters. */
  singleWord: boolean;
}

/** The BPE model of tokenizer.json. */
export interface BpeDefinition {
  vocab: ReadonlyMap<string, number>;
  /** In order of rank. */
  merges: readonly (readonly [string, string])[];
  unkToken?: string;
  fuseUnk: boolean;
  /** Spell unknown characters with tokens <0x00> to <0xFF>. */
  byteFallback: boolean;
  /** A piece that is a token stays whole, whatever the merges say. */
  ignoreMerges: boolean;
}

/** A model that does it all by itself, from the plain text to ids. */
export interface EncoderDefinition {
  vocab: ReadonlyMap<string, number>;
  /** Appends the ids of a text in which there are no added tokens. @param atStart nothing comes before it. */
  encode: (text: string, atStart: boolean, ids: number[]) => void;
}

/** Where SentencePiece's own decoder differs from that of tokenizer.json. */
export interface PieceDecoding {
  /** These keep their space at the start of a text: bytes, the unknown token. */
  keepsSpace: (id: number) => boolean;
  /** Every piece loses a space until there is text, not the first one alone. */
  stripEvery: boolean;
  /** What the unknown token shows where special tokens are left out. */
  unknown: { id: number; surface: string } | undefined;
}

/** How token strings become bytes. */
export type DecodeRule =
  | { kind: 'byteLevel' }
  | {
      kind: 'spaces';
      /** The character that stands for a space. */
      space: string;
      byteFallback: boolean;
      /** Drop one space at the start of a text: the encoder put it there. */
      stripStart: boolean;
      pieces?: PieceDecoding;
    };

export interface SpecialIds {
  bosId?: number;
  eosId?: number;
  padId?: number;
  /** More ids that end a reply, where the file names them. */
  replyEnds?: readonly number[];
  addBos: boolean;
  addEos: boolean;
}

export interface TokenizerDefinition {
  model: BpeDefinition | EncoderDefinition;
  added: readonly AddedToken[];
  normalizer: JsonPart | undefined;
  preTokenizer: JsonPart | undefined;
  decode: DecodeRule;
  special: SpecialIds;
  chatTemplate?: string;
  repairs: readonly string[];
}

/** Ids above this are taken for damage: nothing may be sized by them. */
export const MAX_TOKEN_ID = 2 ** 24;

export const badTokenizer = (message: string, hint?: string) =>
  new HuacayaError('BAD_TOKENIZER', message, hint ? { hint } : {});

export const unsupported = (what: string) =>
  new HuacayaError('TOKENIZER_UNSUPPORTED', what, {
    hint: 'Huacaya reads the tokenizers of LLaMA-family models: BPE, byte-level or SentencePiece, and SentencePiece unigram.',
  });

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Text from a file, fit for a message: quoted, escaped, cut. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

export function isTokenId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_TOKEN_ID;
}
