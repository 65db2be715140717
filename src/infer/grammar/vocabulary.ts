// A vocabulary made ready for constraints; built once for a tokenizer, shared by all requests.
import type { Automaton } from './automaton.ts';
import { buildTrie, type TokenTexts, type Trie, type TrieEntry, trieEntries } from './tokenTrie.ts';

export interface TokenVocabulary {
  /** Rows of the model's logits: at least as many as the tokenizer has tokens. */
  readonly vocabSize: number;
  readonly eosIds: readonly number[];
  bytes(id: number): Uint8Array | undefined;
  /** Tokens of whole characters that a JSON string holds as they are, and all others. */
  readonly text: Trie;
  readonly other: Trie;
  /** The tokens of `text`, one bit each. */
  readonly textMask: Uint32Array;
  /** Characters of the longest token in `text`. */
  readonly textLength: number;
  /** Bytes of the longest token. */
  readonly reach: number;
  /** [in a trie, the other] with the same bytes. */
  readonly twins: readonly (readonly [number, number])[];
  /** Automata of what was asked for lately. */
  readonly recent: Map<string, { automaton: Automaton; masks: Map<number, Uint32Array> }>;
}

/** @param vocabSize of the model, when it has more rows than the tokenizer has tokens. */
export function tokenVocabulary(texts: TokenTexts, vocabSize = texts.vocabSize): TokenVocabulary {
  const twins: [number, number][] = [];
  const all = trieEntries(texts);
  const isText = textTest();
  const entries: TrieEntry[] = [];
  const others: TrieEntry[] = [];
  for (const entry of all) (isText(entry.text) ? entries : others).push(entry);
  const text = buildTrie(entries, twins);
  const other = buildTrie(others, twins);
  const size = Math.max(vocabSize, texts.vocabSize);
  const textMask = new Uint32Array(Math.ceil(size / 32));
  let textLength = 0;
  for (const { id, text: token } of entries) {
    textMask[id >>> 5]! |= 1 << (id & 31);
    // Trailing bytes of a character do not count.
    textLength = Math.max(textLength, token.replace(/[\x80-\xbf]/g, '').length);
  }
  return {
    vocabSize: size,
    eosIds: texts.eosIds,
    bytes: (id) => (texts.eosIds.includes(id) || id >= texts.vocabSize ? undefined : texts.bytes(id)),
    text,
    other,
    textMask,
    textLength,
    reach: Math.max(text.deepest, other.deepest),
    twins,
    recent: new Map(),
  };
}

/** Of texts with one char a byte. */
function textTest(): (text: string) => boolean {
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  return (text) => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
    if (/[\x00-\x1f"\\]/.test(text)) return false;
    if (!/[\x80-\xff]/.test(text)) return true;
    // Most of what is no whole character is found without an exception.
    if (/^[\x80-\xbf]|[\xc0-\xff]$/.test(text)) return false;
    try {
      utf8.decode(Uint8Array.from(text, (char) => char.charCodeAt(0)));
      return true;
    } catch {
      return false;
    }
  };
}
