// Reads tokenizer.model, SentencePiece's file: one protobuf message, sentencepiece_model.proto (proto2) of
// https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
import { HuacayaError } from '../base/index.ts';
import { quote } from './quote.ts';
import {
  readNormalizerSpec,
  readTrainerSpec,
  type SentencePieceNormalizerSpec,
  type SentencePieceTrainerSpec,
} from './sentencePieceSpecs.ts';
import { maxTextBytes, readMessage, tellWhatItIs } from './sentencePieceWire.ts';

/** Values of ModelProto.SentencePiece.Type; GGUF uses the same numbers in tokenizer.ggml.token_type. */
export const PieceType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface SentencePieceModel {
  /** [id] */
  pieces: readonly string[];
  /** [id] */
  scores: Float32Array;
  /** [id], values of PieceType. */
  types: Uint8Array;
  trainer: SentencePieceTrainerSpec;
  normalizer: SentencePieceNormalizerSpec;
  /** The file has rules for turning decoded text back. */
  hasDenormalizer: boolean;
}

export const sentencePieceLimits = {
  /** The largest in use (262,144 pieces) is below 5 MB. */
  fileBytes: 1 << 26,
  pieces: 1 << 20,
  /** Of all pieces together, in UTF-16 units; the largest in use have 2 million. */
  pieceUnits: 1 << 23,
  textBytes: maxTextBytes,
} as const;

const PIECE = { 1: 'text', 2: 'float', 3: 'int' } as const;

/**
 * @param name of the file, for messages.
 * @throws HuacayaError BAD_TOKENIZER with what is wrong and where: damage, another kind of file, pieces that contradict
 * one another (what the library refuses, this refuses too).
 */
export function parseSentencePieceModel(bytes: Uint8Array, name = 'tokenizer.model'): SentencePieceModel {
  const badIn = (part: string) => (why: string, cause?: unknown) =>
    new HuacayaError('BAD_TOKENIZER', `${name}: ${part}${why}`, {
      hint: 'The file is damaged or not a SentencePiece model: download it again.',
      ...(cause === undefined ? {} : { cause }),
    });
  const bad = badIn('');
  if (bytes.length > sentencePieceLimits.fileBytes) {
    throw bad(`has ${bytes.length} bytes; ${sentencePieceLimits.fileBytes} is the most that is read`);
  }
  const other = tellWhatItIs(bytes);
  if (other) throw new HuacayaError('BAD_TOKENIZER', `${name} ${other.what}`, { hint: other.hint });
  const read = { pieces: [] as string[], scores: [] as number[], types: [] as number[] };
  const addPiece = (message: Uint8Array): void => {
    const id = read.pieces.length;
    if (id >= sentencePieceLimits.pieces) throw bad(`has more than ${sentencePieceLimits.pieces} pieces`);
    const fields = readMessage(message, PIECE, badIn(`piece ${id}: `));
    read.pieces.push((fields.get(1) as string | undefined) ?? '');
    read.scores.push((fields.get(2) as number | undefined) ?? 0);
    read.types.push((fields.get(3) as number | undefined) ?? PieceType.normal);
  };
  const specs = readMessage(bytes, { 1: addPiece, 2: 'bytes', 3: 'bytes', 5: 'bytes' }, bad);
  const spec = (no: number) => (specs.get(no) as Uint8Array | undefined) ?? new Uint8Array(0);
  const trainer = readTrainerSpec(spec(2), badIn('trainer_spec: '));
  const denormalizer = readNormalizerSpec(spec(5), badIn('denormalizer_spec: '));
  if (trainer.byteFallback) switchOffZero(read);
  checkPieces(read, trainer, bad);
  return {
    pieces: read.pieces,
    scores: Float32Array.from(read.scores),
    types: Uint8Array.from(read.types),
    trainer,
    normalizer: readNormalizerSpec(spec(3), badIn('normalizer_spec: ')),
    hasDenormalizer: denormalizer.precompiledCharsmap.length > 0,
  };
}

interface Pieces {
  pieces: readonly string[];
  scores: readonly number[];
  types: number[];
}

/** Converters have left a zero byte as a piece where <0x00> is one too; the library switches it off. */
function switchOffZero({ pieces, types }: Pieces): void {
  const zero = pieces.indexOf('\0');
  if (zero !== -1) types[zero] = PieceType.unused;
}

/** The library's own checks on loading, and a few on numbers that nothing may be built on. */
function checkPieces(
  { pieces, scores, types }: Pieces,
  { byteFallback }: SentencePieceTrainerSpec,
  bad: (why: string) => HuacayaError,
): void {
  if (pieces.length === 0) throw bad('has no pieces');
  const seen = new Map<string, number>();
  let units = 0;
  let unknown = -1;
  let bytes = 0;
  for (const [id, piece] of pieces.entries()) {
    const type = types[id]!;
    const wrong = (why: string) => bad(`piece ${id}, ${quote(piece)}, ${why}`);
    if (piece === '') throw bad(`piece ${id} is empty`);
    if (seen.has(piece)) throw wrong(`is there already as ${seen.get(piece)}`);
    seen.set(piece, id);
    units += piece.length;
    if (units > sentencePieceLimits.pieceUnits)
      throw wrong('is too much: together they are longer than any vocabulary');
    if (!Number.isFinite(scores[id])) throw wrong(`has the score ${scores[id]}`);
    if (type < 1 || type > 6) throw wrong(`is of type ${type}; 1 to 6 are known`);
    if (piece.includes('\0') && (piece !== '\0' || type !== PieceType.unused)) throw wrong('has a zero byte');
    if (type === PieceType.unknown) {
      if (unknown !== -1) throw wrong(`is of type UNKNOWN, as ${unknown} is`);
      unknown = id;
    }
    if (type !== PieceType.byte) continue;
    if (!byteFallback) throw wrong('is of type BYTE, but byte_fallback is off');
    if (!/^<0x[0-9A-F]{2}>$/.test(piece)) throw wrong('is of type BYTE, but names none');
    bytes++;
  }
  if (byteFallback && bytes !== 256) throw bad(`byte_fallback is on, but ${bytes} of 256 byte pieces are there`);
  if (!byteFallback && unknown === -1) throw bad('has no piece of type UNKNOWN');
}
