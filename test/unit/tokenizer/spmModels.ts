// SentencePiece models for tests: LLaMA's vocabulary, the small ones of test/fixtures/tokenizer/spm, and a writer.
import { gunzipSync } from 'node:zlib';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import llamaJs from 'llama-tokenizer-js';
import {
  PieceType,
  parseSentencePieceModel,
  type SentencePieceModel,
} from '../../../src/formats/sentencePieceModel.ts';
import { spmFile } from './spmStrings.ts';

export interface ModelToWrite {
  pieces: readonly { piece: string; score?: number; type?: number }[];
  /** Field number -> value of trainer_spec and normalizer_spec. */
  trainer?: Record<number, number | boolean | string>;
  normalizer?: Record<number, boolean | string | Uint8Array>;
}

function writeFields(w: BinaryWriter, fields: Record<number, number | boolean | string | Uint8Array>): void {
  for (const [key, value] of Object.entries(fields)) {
    const no = Number(key);
    if (typeof value === 'number') w.tag(no, WireType.Varint).int32(value);
    else if (typeof value === 'boolean') w.tag(no, WireType.Varint).bool(value);
    else if (typeof value === 'string') w.tag(no, WireType.LengthDelimited).string(value);
    else w.tag(no, WireType.LengthDelimited).bytes(value);
  }
}

/** tokenizer.model as SentencePiece would write it. */
export function writeSentencePieceModel({ pieces, trainer = {}, normalizer = {} }: ModelToWrite): Uint8Array {
  const w = new BinaryWriter();
  for (const { piece, score = 0, type = PieceType.normal } of pieces) {
    w.tag(1, WireType.LengthDelimited).fork();
    w.tag(1, WireType.LengthDelimited).string(piece).tag(2, WireType.Bit32).float(score);
    if (type !== PieceType.normal) w.tag(3, WireType.Varint).int32(type);
    w.join();
  }
  w.tag(2, WireType.LengthDelimited).fork();
  writeFields(w, trainer);
  w.join();
  w.tag(3, WireType.LengthDelimited).fork();
  writeFields(w, normalizer);
  w.join();
  return w.finish();
}

const unzipped = (name: string) => new Uint8Array(gunzipSync(spmFile(name)));

/** LLaMA's tokenizer.model; as in make.py the scores follow the order of the merges. */
export function llamaModel(): Uint8Array {
  const { vocabById, merges } = llamaJs as unknown as { vocabById: string[]; merges: Map<string, number> };
  const rank = new Map<string, number>();
  for (const [pair] of [...merges].sort((a, b) => a[1] - b[1])) {
    const piece = pair.replace(' ', '');
    if (!rank.has(piece)) rank.set(piece, rank.size);
  }
  const typeOf = (id: number) => {
    if (id >= 259) return PieceType.normal;
    if (id >= 3) return PieceType.byte;
    return id === 0 ? PieceType.unknown : PieceType.control;
  };
  return writeSentencePieceModel({
    pieces: vocabById.map((piece, id) => ({
      piece,
      type: typeOf(id),
      score: id >= 259 ? -(rank.get(piece) ?? rank.size) : 0,
    })),
    trainer: { 3: 2, 35: true },
    normalizer: { 1: 'identity', 4: false },
  });
}

function withUnused(model: SentencePieceModel): SentencePieceModel {
  const switched = (type: number, id: number) =>
    id >= 300 && id % 5 === 0 && type === PieceType.normal ? PieceType.unused : type;
  return { ...model, types: model.types.map(switched) };
}

const small = (name: string) => parseSentencePieceModel(unzipped(`${name}.model.gz`), `${name}.model`);
const changed = (name: string, changes: Partial<SentencePieceModel['normalizer']>): SentencePieceModel => {
  const model = small(name);
  return { ...model, normalizer: { ...model.normalizer, ...changes } };
};

/** The variants of make.py. */
export const spmVariants: Record<string, () => SentencePieceModel> = {
  llama: () => parseSentencePieceModel(llamaModel()),
  bpe: () => small('bpe'),
  'bpe, tidy': () => changed('bpe', { removeExtraWhitespaces: true, addDummyPrefix: false }),
  'bpe, bare': () => changed('bpe', { addDummyPrefix: false }),
  'bpe, unused': () => withUnused(small('bpe')),
  unigram: () => small('unigram'),
  'unigram, untidy': () => changed('unigram', { removeExtraWhitespaces: false, addDummyPrefix: false }),
  'unigram, unescaped': () => changed('unigram', { escapeWhitespaces: false }),
  'unigram, unused': () => withUnused(small('unigram')),
  unigramBytes: () => small('unigramBytes'),
  suffix: () => small('suffix'),
};

export interface SpmExpected {
  count: number;
  ids: number[][];
  texts: string[];
  wild: [number[], string][];
  /** Hash of the first 3000 strings as one text. */
  joined?: number;
}

export const spmExpected = JSON.parse(gunzipSync(spmFile('expected.json.gz')).toString('utf8')) as Record<
  string,
  SpmExpected
>;
