// SentencePiece's BPE: of all neighbours that join to a piece, those with the greatest score are joined first, the
// leftmost among equals. https://github.com/google/sentencepiece/blob/master/src/bpe_model.cc
// bpe.ts goes by ranked pairs instead; where two pairs join to the same piece, only this order is SentencePiece's.
import { PieceType, type SentencePieceModel } from '../formats/index.ts';
import { NumberHeap } from './numberHeap.ts';
import type { PieceCutter } from './pieceEncoder.ts';
import { PieceTrie } from './pieceTrie.ts';

const NONE = -1;
/** Heap keys are rank * POSITIONS + position; there are at most 2^20 ranks. */
const POSITIONS = 2 ** 32;
const MOST_PAIRS = 1 << 18;
/** Longer words rarely come twice. */
const LONGEST_CACHED = 64;
const MOST_CACHED = 1 << 16;
/** Pieces of type UNUSED are taken apart again, at most this deep. */
const DEEPEST = 100;

/** Pieces, scores and types by id; a GGUF file has the same. */
type Vocabulary = Pick<SentencePieceModel, 'pieces' | 'scores' | 'types'>;

export function createSpBpe(model: Vocabulary): PieceCutter {
  const { pieces, types } = model;
  const idOf = new Map<string, number>();
  const userDefined = userDefinedTrie(model);
  for (const [id, piece] of pieces.entries()) {
    const type = types[id];
    if (type === PieceType.normal || type === PieceType.userDefined || type === PieceType.unused) idOf.set(piece, id);
  }
  const merge = createMerger(model, idOf);
  const words = joinsWords(model) ? undefined : /▁*[^▁]+|▁+/g;
  const cache = new Map<string, readonly number[]>();

  const symbolsOf = (word: string): readonly number[] => {
    const known = cache.get(word);
    if (known) return known;
    const symbols = merge(word);
    if (word.length <= LONGEST_CACHED) {
      if (cache.size >= MOST_CACHED) cache.clear();
      cache.set(word, symbols);
    }
    return symbols;
  };

  return (text, onPiece, onUnknown) => {
    const emit = (word: string) => {
      for (const symbol of symbolsOf(word)) {
        if (symbol < pieces.length) onPiece(symbol);
        else onUnknown(String.fromCodePoint(symbol - pieces.length));
      }
    };
    const emitWords = (plain: string) => {
      if (words) for (const word of plain.match(words) ?? []) emit(word);
      else if (plain !== '') emit(plain);
    };
    let kept = 0;
    if (userDefined) {
      for (let at = 0; at < text.length; ) {
        const end = userDefined.longestAt(text, at);
        if (end === at) at += text.codePointAt(at)! > 0xffff ? 2 : 1;
        else {
          emitWords(text.slice(kept, at));
          onPiece(idOf.get(text.slice(at, end))!);
          at = end;
          kept = end;
        }
      }
    }
    emitWords(kept === 0 ? text : text.slice(kept));
  };
}

/** User-defined symbols, which are found before anything else; undefined = there are none. */
export function userDefinedTrie({ pieces, types }: Vocabulary): PieceTrie | undefined {
  let trie: PieceTrie | undefined;
  for (const [id, piece] of pieces.entries()) {
    if (types[id] !== PieceType.userDefined) continue;
    trie ??= new PieceTrie();
    trie.add(piece, id);
  }
  return trie;
}

/** Whether a piece reaches from one word into the next. If none does, words can be encoded one by one, and cached. */
function joinsWords({ pieces, types }: Vocabulary): boolean {
  return pieces.some(
    (piece, id) => types[id] === PieceType.unused || (types[id] === PieceType.normal && /[^▁]▁/.test(piece)),
  );
}

/** [id] -> 0 for the greatest score, and so on; equal scores have equal ranks. */
function ranks(scores: Float32Array): Int32Array {
  const order = Float32Array.from(new Set(scores)).sort().reverse();
  const rankOf = new Map<number, number>();
  for (const [rank, score] of order.entries()) rankOf.set(score, rank);
  return Int32Array.from(scores, (score) => rankOf.get(score)!);
}

/** A symbol is the id of a piece, or the number of pieces + the code of a character that is none. */
function createMerger({ pieces, scores, types }: Vocabulary, idOf: ReadonlyMap<string, number>) {
  const size = pieces.length;
  const span = size + 0x110000;
  const rankOf = ranks(scores);
  const hasUnused = types.includes(PieceType.unused);
  const spell = (symbol: number) => (symbol < size ? pieces[symbol]! : String.fromCodePoint(symbol - size));
  const pairs = new Map<number, number>();

  /** The piece that two symbols join to, -1 = none. */
  const join = (left: number, right: number): number => {
    const key = left * span + right;
    let joined = pairs.get(key);
    if (joined === undefined) {
      joined = idOf.get(spell(left) + spell(right)) ?? NONE;
      if (pairs.size >= MOST_PAIRS) pairs.clear();
      pairs.set(key, joined);
    }
    return joined;
  };

  return (word: string): number[] => {
    const symbols = Array.from(word, (char) => {
      const id = idOf.get(char);
      return id === undefined || types[id] === PieceType.unused ? size + char.codePointAt(0)! : id;
    });
    const n = symbols.length;
    const next = Int32Array.from(symbols, (_, i) => (i + 1 < n ? i + 1 : NONE));
    const previous = Int32Array.from(symbols, (_, i) => i - 1);
    const partsOf = new Map<number, [number, number]>();
    const heap = new NumberHeap();
    const joinedAt = (i: number) => (next[i] === NONE ? NONE : join(symbols[i]!, symbols[next[i]!]!));
    const offer = (i: number) => {
      const joined = joinedAt(i);
      if (joined === NONE) return;
      heap.push(rankOf[joined]! * POSITIONS + i);
      if (types[joined] === PieceType.unused) partsOf.set(joined, [symbols[i]!, symbols[next[i]!]!]);
    };
    for (let i = 0; i + 1 < n; i++) offer(i);
    for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
      const at = key % POSITIONS;
      const rank = (key - at) / POSITIONS;
      // Offers are never taken back: one whose neighbours have changed since is skipped here.
      if (symbols[at] === NONE) continue;
      const joined = joinedAt(at);
      if (joined === NONE || rankOf[joined] !== rank) continue;
      const right = next[at]!;
      symbols[at] = joined;
      symbols[right] = NONE;
      next[at] = next[right]!;
      if (next[at] !== NONE) previous[next[at]!] = at;
      if (previous[at] !== NONE) offer(previous[at]!);
      offer(at);
    }
    const left = symbols.filter((symbol) => symbol !== NONE);
    return hasUnused
      ? left.flatMap((symbol) => takeApart(symbol, partsOf, (id) => types[id] === PieceType.unused))
      : left;
  };
}

function takeApart(
  symbol: number,
  partsOf: ReadonlyMap<number, readonly [number, number]>,
  isUnused: (id: number) => boolean,
  depth = 0,
): number[] {
  const parts = isUnused(symbol) ? partsOf.get(symbol) : undefined;
  if (!parts || depth > DEEPEST) return [symbol];
  return parts.flatMap((part) => takeApart(part, partsOf, isUnused, depth + 1));
}
