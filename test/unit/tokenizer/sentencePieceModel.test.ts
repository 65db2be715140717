import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { HuacayaError } from '../../../src/base/index.ts';
import { PieceType, parseSentencePieceModel, sentencePieceLimits } from '../../../src/formats/index.ts';
import { type ModelToWrite, writeSentencePieceModel } from './spmModels.ts';
import { spmFile } from './spmStrings.ts';

const UNKNOWN = { piece: '<unk>', type: PieceType.unknown };
const model = (changes: Partial<ModelToWrite> = {}) =>
  writeSentencePieceModel({ pieces: [UNKNOWN, { piece: '▁a', score: -1.5 }], ...changes });
const allBytes = Array.from({ length: 256 }, (_, byte) => ({
  piece: `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  type: PieceType.byte,
}));

test('pieces, scores and types', () => {
  const read = parseSentencePieceModel(
    model({ pieces: [UNKNOWN, { piece: '\ufeff', score: 0.5 }, { piece: '<s>', type: PieceType.control }] }),
  );
  // The byte order mark is a piece of LLaMA's: it must not be swallowed.
  expect(read.pieces).toEqual(['<unk>', '\ufeff', '<s>']);
  expect([...read.scores]).toEqual([0, 0.5, 0]);
  expect([...read.types]).toEqual([PieceType.unknown, PieceType.normal, PieceType.control]);
});

test('defaults are those of the proto file', () => {
  const { trainer, normalizer, hasDenormalizer } = parseSentencePieceModel(model());
  expect(trainer).toEqual({
    modelType: 'unigram',
    byteFallback: false,
    treatWhitespaceAsSuffix: false,
    unkId: 0,
    bosId: 1,
    eosId: 2,
    padId: -1,
    unkSurface: ' ⁇ ',
    unkPiece: '<unk>',
    bosPiece: '<s>',
    eosPiece: '</s>',
    padPiece: '<pad>',
  });
  expect(normalizer).toMatchObject({ name: '', addDummyPrefix: true, removeExtraWhitespaces: true });
  expect(normalizer).toMatchObject({ escapeWhitespaces: true, precompiledCharsmap: new Uint8Array(0) });
  expect(hasDenormalizer).toBe(false);
});

test('settings are read', () => {
  const { trainer, normalizer } = parseSentencePieceModel(
    model({
      trainer: { 3: 2, 24: true, 40: 3, 41: 4, 42: -1, 43: 5, 45: 'U', 46: 'B', 47: 'E', 48: 'P', 44: '?' },
      normalizer: { 1: 'nmt_nfkc', 2: Uint8Array.of(1, 2), 3: false, 4: false, 5: false, 6: Uint8Array.of(9) },
    }),
  );
  expect(trainer).toMatchObject({ modelType: 'bpe', treatWhitespaceAsSuffix: true, unkId: 3, bosId: 4, eosId: -1 });
  expect(trainer).toMatchObject({
    padId: 5,
    unkPiece: 'U',
    bosPiece: 'B',
    eosPiece: 'E',
    padPiece: 'P',
    unkSurface: '?',
  });
  expect(normalizer).toEqual({
    name: 'nmt_nfkc',
    precompiledCharsmap: Uint8Array.of(1, 2),
    addDummyPrefix: false,
    removeExtraWhitespaces: false,
    escapeWhitespaces: false,
    normalizationRuleTsv: Uint8Array.of(9),
  });
});

test("fields that are none of this reader's business are passed over", () => {
  // Field 4 (self_test_data), field 200 (an extension), of every wire type.
  const extra = Uint8Array.of(
    0x22,
    2,
    1,
    2,
    0xc0,
    0x0c,
    0x96,
    1,
    0xc5,
    0x0c,
    1,
    2,
    3,
    4,
    0xc1,
    0x0c,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
  );
  const read = parseSentencePieceModel(Uint8Array.from([...extra, ...model(), ...extra]));
  expect(read.pieces).toEqual(['<unk>', '▁a']);
});

test('a zero byte as a piece beside <0x00> is switched off', () => {
  const read = parseSentencePieceModel(
    model({ pieces: [UNKNOWN, { piece: '\0' }, ...allBytes], trainer: { 3: 2, 35: true } }),
  );
  expect(read.types[1]).toBe(PieceType.unused);
});

describe('refused', () => {
  const text = (content: string) => new TextEncoder().encode(content);
  const good = model();
  const cases: [string, Uint8Array, string][] = [
    ['nothing', new Uint8Array(0), 'm.model is empty'],
    ["Llama 3's vocabulary", text('IQ== 0\nIg== 1\n'), 'tiktoken'],
    ['a Git LFS pointer', text('version https://git-lfs.github.com/spec/v1\noid sha256:1\n'), 'Git LFS'],
    ['a web page', text('<!DOCTYPE html><html>'), 'web page'],
    ['a file that is too large', new Uint8Array(sentencePieceLimits.fileBytes + 1), 'is the most'],
    ['no pieces', writeSentencePieceModel({ pieces: [] }), 'has no pieces'],
    ['a file that was cut short', good.subarray(0, good.length - 3), 'broken at byte'],
    ['a piece that was cut short', Uint8Array.of(0x0a, 3, 0x0a, 5, 97), 'piece 0: broken at byte 0'],
    ['a group', Uint8Array.from([...good, 0x23, 0x24]), 'is a group'],
    [
      'a wire type that is not the field’s',
      Uint8Array.of(0x0a, 2, 0x08, 1),
      'piece 0: field 1 at byte 0 has the wire type 0',
    ],
    ['a setting that is there twice', Uint8Array.from([...good, ...good]), 'field 2 is there twice'],
    ['a text that is not UTF-8', Uint8Array.of(0x0a, 3, 0x0a, 1, 0xff), 'piece 0: broken'],
    ['a model of an unknown type', model({ trainer: { 3: 9 } }), 'trainer_spec: model_type is 9'],
    ['an empty piece', model({ pieces: [UNKNOWN, { piece: '' }] }), 'piece 1 is empty'],
    [
      'a piece twice',
      model({ pieces: [UNKNOWN, { piece: 'a' }, { piece: 'a' }] }),
      'piece 2, "a", is there already as 1',
    ],
    ['a score that is no number', model({ pieces: [UNKNOWN, { piece: 'a', score: Number.NaN }] }), 'has the score NaN'],
    ['an infinite score', model({ pieces: [UNKNOWN, { piece: 'a', score: -Infinity }] }), 'has the score -Infinity'],
    ['a type that is not known', model({ pieces: [UNKNOWN, { piece: 'a', type: 7 }] }), 'is of type 7'],
    ['a type that is 256 + 1', model({ pieces: [UNKNOWN, { piece: 'a', type: 257 }] }), 'is of type 257'],
    [
      'two unknown pieces',
      model({ pieces: [UNKNOWN, { piece: '?', type: PieceType.unknown }] }),
      'is of type UNKNOWN, as 0 is',
    ],
    ['no unknown piece', model({ pieces: [{ piece: 'a' }] }), 'no piece of type UNKNOWN'],
    ['bytes without the setting', model({ pieces: [UNKNOWN, allBytes[5]!] }), 'byte_fallback is off'],
    ['bytes that are missing', model({ pieces: [UNKNOWN, ...allBytes.slice(1)], trainer: { 35: true } }), '255 of 256'],
    [
      'a byte that is none',
      model({ pieces: [UNKNOWN, { piece: '<0xg0>', type: 6 }], trainer: { 35: true } }),
      'names none',
    ],
    ['a zero byte in a piece', model({ pieces: [UNKNOWN, { piece: 'a\0' }] }), 'has a zero byte'],
    ['a piece without an end', model({ pieces: [UNKNOWN, { piece: 'a'.repeat(70_000) }] }), 'is the most'],
  ];
  test.each(cases)('%s', (_, bytes, message) => {
    const parse = () => parseSentencePieceModel(bytes, 'm.model');
    expect(parse).toThrow(expect.objectContaining({ code: 'BAD_TOKENIZER' }));
    expect(parse).toThrow('m.model');
    expect(parse).toThrow(message);
  });
});

test('a file that breaks off anywhere is refused, or is a smaller model', () => {
  const bytes = gunzipSync(spmFile('bpe.model.gz'));
  for (let end = 1; end < bytes.length; end += 211) {
    try {
      parseSentencePieceModel(bytes.subarray(0, end));
    } catch (error) {
      expect(error).toBeInstanceOf(HuacayaError);
    }
  }
});
