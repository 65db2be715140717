// trainer_spec and normalizer_spec of a SentencePiece model: the fields that decide how a text is cut into pieces.

import type { HuacayaError } from '../base/index.ts';
import { type ProtoFields, readMessage } from './sentencePieceWire.ts';

export type SentencePieceKind = 'unigram' | 'bpe' | 'word' | 'char';

export interface SentencePieceTrainerSpec {
  modelType: SentencePieceKind;
  /** Characters without a piece are spelled with the 256 pieces <0x00> to <0xFF>. */
  byteFallback: boolean;
  /** Spaces belong to the word before them. */
  treatWhitespaceAsSuffix: boolean;
  /** As written in the file, -1 = switched off. The pieces below are what the library goes by. */
  unkId: number;
  bosId: number;
  eosId: number;
  padId: number;
  unkPiece: string;
  bosPiece: string;
  eosPiece: string;
  padPiece: string;
  /** What the unknown piece is decoded to. */
  unkSurface: string;
}

export interface SentencePieceNormalizerSpec {
  /** 'identity', 'nmt_nfkc'...: only a name, the rules are in the charsmap. */
  name: string;
  /** Replacement rules, compiled; empty = none. */
  precompiledCharsmap: Uint8Array;
  addDummyPrefix: boolean;
  removeExtraWhitespaces: boolean;
  escapeWhitespaces: boolean;
  /** Source of the rules, UTF-8; not used when a text is normalized. */
  normalizationRuleTsv: Uint8Array;
}

const TRAINER = {
  3: 'int',
  24: 'bool',
  35: 'bool',
  40: 'int',
  41: 'int',
  42: 'int',
  43: 'int',
  44: 'text',
  45: 'text',
  46: 'text',
  47: 'text',
  48: 'text',
} as const;
const NORMALIZER = { 1: 'text', 2: 'bytes', 3: 'bool', 4: 'bool', 5: 'bool', 6: 'bytes' } as const;
const KINDS: Readonly<Record<number, SentencePieceKind>> = { 1: 'unigram', 2: 'bpe', 3: 'word', 4: 'char' };

type Bad = (why: string, cause?: unknown) => HuacayaError;

/** Reads a field, or gives the default of sentencepiece_model.proto. */
const getter =
  (fields: ProtoFields) =>
  <T>(no: number, otherwise: T): T =>
    (fields.get(no) as T | undefined) ?? otherwise;

/** A name that is empty stands for its default, as in the library. */
const named = (name: string, otherwise: string) => (name === '' ? otherwise : name);

/** @param bytes the message; empty = there is none. */
export function readTrainerSpec(bytes: Uint8Array, bad: Bad): SentencePieceTrainerSpec {
  const get = getter(readMessage(bytes, TRAINER, bad));
  const modelType = KINDS[get(3, 1)];
  if (!modelType) throw bad(`model_type is ${get(3, 1)}; 1 to 4 are known`);
  return {
    modelType,
    byteFallback: get(35, false),
    treatWhitespaceAsSuffix: get(24, false),
    unkId: get(40, 0),
    bosId: get(41, 1),
    eosId: get(42, 2),
    padId: get(43, -1),
    unkSurface: get(44, ' \u2047 '),
    unkPiece: named(get(45, ''), '<unk>'),
    bosPiece: named(get(46, ''), '<s>'),
    eosPiece: named(get(47, ''), '</s>'),
    padPiece: named(get(48, ''), '<pad>'),
  };
}

/** @param bytes the message; empty = there is none. */
export function readNormalizerSpec(bytes: Uint8Array, bad: Bad): SentencePieceNormalizerSpec {
  const get = getter(readMessage(bytes, NORMALIZER, bad));
  return {
    name: get(1, ''),
    precompiledCharsmap: get(2, new Uint8Array(0)),
    addDummyPrefix: get(3, true),
    removeExtraWhitespaces: get(4, true),
    escapeWhitespaces: get(5, true),
    normalizationRuleTsv: get(6, new Uint8Array(0)),
  };
}
