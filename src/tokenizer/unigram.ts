// SentencePiece's unigram model: of all ways to cut a text into pieces, the one with the greatest sum of scores (Viterbi;
// Kudo 2018, https://arxiv.org/abs/1804.10959). Sums are kept in 32 bits and cut back as the library does it, so that
// close decisions in long texts fall the same way: https://github.com/google/sentencepiece/blob/master/src/unigram_model.cc
import { PieceType, type SentencePieceModel } from '../formats/index.ts';
import type { PieceCutter } from './pieceEncoder.ts';
import { PieceTrie } from './pieceTrie.ts';

/** A character that is no piece costs this much more than the worst piece. */
const UNKNOWN_PENALTY = 10;
const RESET_AT = 100_000;
const NONE = -1;

export function createUnigram({ pieces, scores, types }: SentencePieceModel): PieceCutter {
  const trie = new PieceTrie();
  /** [id], of user-defined symbols a bonus: they win over what they could be cut into. */
  const scoreOf = Float32Array.from(scores);
  let lowest = Number.POSITIVE_INFINITY;
  for (const [id, piece] of pieces.entries()) {
    const type = types[id];
    if (type === PieceType.normal) lowest = Math.min(lowest, scores[id]!);
    if (type === PieceType.userDefined) scoreOf[id] = 0.1 * (utf8Length(piece) - 1);
    // Pieces of type UNUSED are never produced.
    if (type === PieceType.normal || type === PieceType.userDefined) trie.add(piece, id);
  }
  const unknownScore = Math.fround(Math.min(lowest, 3.4028234663852886e38) - UNKNOWN_PENALTY);

  return (text, onPiece, onUnknown) => {
    const n = text.length;
    const best = new Float32Array(n + 1);
    /** [end] -> where the best last piece begins, and its id; -1 = no way leads here, or unknown. */
    const begins = new Int32Array(n + 1).fill(NONE);
    const ids = new Int32Array(n + 1).fill(NONE);
    let frontier = 0;
    const offer = (end: number, score: number, begin: number, id: number) => {
      if (end > frontier) frontier = end;
      if (begins[end] !== NONE && !(score > best[end]!)) return;
      best[end] = score;
      begins[end] = begin;
      ids[end] = id;
    };
    for (let at = 0; at < n; ) {
      let soFar = best[at]!;
      if (Math.abs(soFar) > RESET_AT) {
        for (let i = at; i <= frontier; i++) if (i === at || begins[i] !== NONE) best[i] = best[i]! - soFar;
        soFar = 0;
      }
      const width = text.codePointAt(at)! > 0xffff ? 2 : 1;
      let single = false;
      let node = trie.root;
      for (let end = at + 1; end <= n; end++) {
        node = trie.step(node, text.charCodeAt(end - 1));
        if (node === NONE) break;
        const id = trie.idAt(node);
        if (id === NONE) continue;
        offer(end, Math.fround(scoreOf[id]! + soFar), at, id);
        if (end === at + width) single = true;
      }
      if (!single) offer(at + width, Math.fround(unknownScore + soFar), at, NONE);
      at += width;
    }
    const ends: number[] = [];
    for (let end = n; end > 0; end = begins[end]!) ends.push(end);
    for (const end of ends.reverse()) {
      if (ids[end] === NONE) onUnknown(text.slice(begins[end], end));
      else onPiece(ids[end]!);
    }
  };
}

const utf8Length = (text: string) => new TextEncoder().encode(text).length;
