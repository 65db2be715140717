// Holds a generation to a grammar: which tokens may come next is found by walking the vocabulary's tries with the
// grammar's automaton, once for each situation; later it is only looked up.
import { HuacayaError, invariant } from '../../base/index.ts';
import type { TokenConstraint } from '../constraint.ts';
import { Automaton, dead } from './automaton.ts';
import { deepest, type Expr, Grammar } from './grammar.ts';
import type { Trie } from './tokenTrie.ts';
import type { TokenVocabulary } from './vocabulary.ts';

/** 512 masks of 128 Ki tokens are 8 MiB. */
const mostMasks = 512;
const mostRecent = 16;
/** Bound a mask's time: readings to follow, in all and for each node of the tries. Only very ambiguous grammars need more. */
const leastWork = 200_000;
const workPerNode = 8;
/** What making a state costs, compared with following it. */
const stateWork = 20;

/** @param key of the grammar: requests with the same one share what was computed. */
export function grammarConstraint(
  vocabulary: TokenVocabulary,
  key: string,
  build: (grammar: Grammar) => { root: Expr; char?: Expr },
): TokenConstraint {
  const { automaton, masks } = automatonOf(vocabulary, key, build);
  let number = automaton.start();
  let state = automaton.stateAt(number);
  let generation = automaton.generation;
  let ended = false;
  /** Our state's number, also after another request has renewed the automaton. */
  const here = (): number => {
    if (generation !== automaton.generation) {
      number = automaton.adopt(state);
      generation = automaton.generation;
    }
    return number;
  };

  return {
    allowed() {
      if (ended) return onlyEnds(vocabulary);
      if (automaton.full) {
        automaton.renew();
        masks.clear();
      }
      const similar = automaton.similar(here());
      let mask = masks.get(similar);
      if (!mask) {
        if (masks.size >= mostMasks) masks.clear();
        mask = computeMask(vocabulary, automaton, similar);
        masks.set(similar, mask);
      }
      return mask;
    },
    accept(id) {
      const from = here();
      if (vocabulary.eosIds.includes(id) && (ended || automaton.complete(from))) {
        ended = true;
        return;
      }
      const bytes = ended ? undefined : vocabulary.bytes(id);
      let at = bytes ? from : dead;
      for (const byte of bytes ?? []) at = automaton.next(at, byte);
      invariant(at !== dead, `token ${id} is not allowed by the grammar`);
      number = at;
      state = automaton.stateAt(at);
    },
  };
}

function automatonOf(
  vocabulary: TokenVocabulary,
  key: string,
  build: (grammar: Grammar) => { root: Expr; char?: Expr },
) {
  const { recent } = vocabulary;
  let found = recent.get(key);
  if (!found) {
    const grammar = new Grammar();
    const { root, char } = build(grammar);
    grammar.settle();
    if (root.depth > deepest) {
      const why = root.depth === Number.POSITIVE_INFINITY ? '' : ` without nesting deeper than ${deepest}`;
      throw new HuacayaError('BAD_SCHEMA', `there is no text that satisfies it${why}`, { exitCode: 2 });
    }
    found = { automaton: new Automaton(grammar, root, vocabulary.reach, char), masks: new Map() };
    if (recent.size >= mostRecent) recent.delete(recent.keys().next().value!);
  }
  // Moves to the end: the first is the one that was used longest ago.
  recent.delete(key);
  recent.set(key, found);
  return found;
}

function computeMask(vocabulary: TokenVocabulary, automaton: Automaton, state: number): Uint32Array {
  const { text, other, textMask, textLength, twins, eosIds } = vocabulary;
  const free = automaton.freeText(state) >= textLength;
  const mask = free ? textMask.slice() : new Uint32Array(textMask.length);
  const work = Math.max(leastWork, workPerNode * (text.bytes.length + other.bytes.length));
  const left = walk(other, automaton, state, mask, work);
  if (!free) walk(text, automaton, state, mask, left);
  for (const [one, twin] of twins) if ((mask[one >>> 5]! >>> (one & 31)) & 1) mask[twin >>> 5]! |= 1 << (twin & 31);
  if (automaton.complete(state)) for (const id of eosIds) mask[id >>> 5]! |= 1 << (id & 31);
  if (mask.every((word) => word === 0)) {
    throw new HuacayaError('CONSTRAINT', 'no token of the vocabulary continues the text as it was asked for');
  }
  return mask;
}

/**
 * Sets the bits of tokens that lead on from `start`. When the work is spent, only tokens of one byte are still looked at.
 * @returns what is left of it. It counts states as if all were new: a mask must not depend on what was computed before.
 */
function walk(trie: Trie, automaton: Automaton, start: number, mask: Uint32Array, work: number): number {
  const { bytes, depths, tokens, skips } = trie;
  const { classOf, classes } = automaton;
  let { table, readings, visits } = automaton;
  const walk = ++automaton.walks;
  const path = new Int32Array(trie.deepest + 1);
  path[0] = start;
  for (let i = 0; i < bytes.length; ) {
    const depth = depths[i]!;
    const from = path[depth - 1]!;
    work -= readings[from]!;
    if (visits[from] !== walk) {
      visits[from] = walk;
      work -= stateWork * (readings[from]! + 1);
    }
    let state = work < 0 && depth > 1 ? dead : table[from * classes + classOf[bytes[i]!]!]!;
    if (state < 0) {
      state = automaton.next(from, bytes[i]!);
      ({ table, readings, visits } = automaton);
    }
    if (state === dead) {
      i = skips[i]!;
      continue;
    }
    path[depth] = state;
    const token = tokens[i]!;
    if (token >= 0) mask[token >>> 5]! |= 1 << (token & 31);
    i++;
  }
  return work;
}

function onlyEnds({ vocabSize, eosIds }: TokenVocabulary): Uint32Array {
  const mask = new Uint32Array(Math.ceil(vocabSize / 32));
  for (const id of eosIds) mask[id >>> 5]! |= 1 << (id & 31);
  return mask;
}
