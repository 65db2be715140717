// From pieces to ids: what becomes of the characters that are no piece, as in SentencePiece's own Encode:
// https://github.com/google/sentencepiece/blob/master/src/sentencepiece_processor.cc
import { byteTokenIds } from './bpe.ts';

/** Cuts a normalized text: one call per piece; `onUnknown` is handed each character that is no piece. */
export type PieceCutter = (text: string, onPiece: (id: number) => void, onUnknown: (char: string) => void) => void;

interface Options {
  vocab: ReadonlyMap<string, number>;
  /** Spell unknown characters with <0x00> to <0xFF>, where all that are needed are there. */
  byteFallback: boolean;
  /** Stands for a run of unknown characters; undefined = they are dropped. */
  unknown: number | undefined;
}

/** @returns a function that appends the ids of a normalized text. */
export function createPieceEncoder(cut: PieceCutter, { vocab, byteFallback, unknown }: Options) {
  const byteIds = byteFallback ? byteTokenIds(vocab) : [];
  const utf8 = new TextEncoder();
  return (text: string, ids: number[]): void => {
    let afterUnknown = false;
    const onPiece = (id: number) => {
      ids.push(id);
      afterUnknown = false;
    };
    const onUnknown = (char: string) => {
      const bytes = byteFallback ? Array.from(utf8.encode(char), (byte) => byteIds[byte]) : [undefined];
      const spelled = !bytes.includes(undefined);
      if (spelled) for (const id of bytes) ids.push(id!);
      else if (unknown !== undefined && !afterUnknown) ids.push(unknown);
      afterUnknown = !spelled;
    };
    cut(text, onPiece, onUnknown);
  };
}
