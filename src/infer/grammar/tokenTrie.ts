// The tokens of a vocabulary as tries over their bytes, laid out so that one pass over flat arrays visits them.

/** What is needed of a tokenizer. */
export interface TokenTexts {
  readonly vocabSize: number;
  /** Tokens that end a reply. */
  readonly eosIds: readonly number[];
  /** What a token adds to a text; undefined for special tokens and ids without a token. */
  bytes(id: number): Uint8Array | undefined;
}

/** Nodes in preorder; the root is left out. */
export interface Trie {
  readonly bytes: Uint8Array;
  /** 1 for the first byte of a token. */
  readonly depths: Uint16Array;
  /** The token that ends here, or -1. */
  readonly tokens: Int32Array;
  /** The next node that does not lie behind this one. */
  readonly skips: Int32Array;
  readonly deepest: number;
}

/** No vocabulary needs longer ones; they are never allowed. */
const longest = 512;

export interface TrieEntry {
  id: number;
  /** One char a byte. */
  text: string;
}

export function trieEntries(texts: TokenTexts): TrieEntry[] {
  const entries: TrieEntry[] = [];
  const ends = new Set(texts.eosIds);
  for (let id = 0; id < texts.vocabSize; id++) {
    const bytes = ends.has(id) ? undefined : texts.bytes(id);
    if (!bytes || bytes.length === 0 || bytes.length > longest) continue;
    entries.push({ id, text: String.fromCharCode(...bytes) });
  }
  return entries.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : a.id - b.id));
}

/**
 * @param entries in the order of `trieEntries`.
 * @param twins gets a pair for each token that has the same bytes as one in the trie.
 */
export function buildTrie(entries: readonly TrieEntry[], twins: [number, number][]): Trie {
  const bytes: number[] = [];
  const depths: number[] = [];
  const tokens: number[] = [];
  const skips: number[] = [];
  /** Nodes that lead to where we are. */
  const open: number[] = [];
  let before = '';
  let deepest = 0;
  for (const { id, text } of entries) {
    let shared = 0;
    while (shared < before.length && shared < text.length && before[shared] === text[shared]) shared++;
    if (shared === text.length && before.length === shared && shared > 0) {
      twins.push([tokens[open[shared - 1]!]!, id]);
      continue;
    }
    while (open.length > shared) skips[open.pop()!] = bytes.length;
    for (let i = shared; i < text.length; i++) {
      open.push(bytes.length);
      bytes.push(text.charCodeAt(i));
      depths.push(i + 1);
      tokens.push(i === text.length - 1 ? id : -1);
      skips.push(-1);
    }
    before = text;
    deepest = Math.max(deepest, text.length);
  }
  for (const node of open) skips[node] = bytes.length;
  return {
    bytes: Uint8Array.from(bytes),
    depths: Uint16Array.from(depths),
    tokens: Int32Array.from(tokens),
    skips: Int32Array.from(skips),
    deepest,
  };
}
