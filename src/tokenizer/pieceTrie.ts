// A trie of token texts over UTF-16 units, kept in flat arrays (open addressing) to stay small for large vocabularies.

const NO_NODE = -1;
const ROOT = 0;

export class PieceTrie {
  /** Where a walk begins. */
  readonly root: number = ROOT;
  /** node * 65536 + unit, -1 = free. */
  #keys = new Float64Array(1024).fill(NO_NODE);
  #children = new Int32Array(1024);
  /** [node] -> id of the text that ends there, -1 = none. */
  #ids = new Int32Array(512).fill(NO_NODE);
  #nodes = 1;

  add(text: string, id: number): void {
    let node: number = ROOT;
    for (let at = 0; at < text.length; at++) {
      const next = this.step(node, text.charCodeAt(at));
      node = next === NO_NODE ? this.#grow(node, text.charCodeAt(at)) : next;
    }
    this.#ids[node] = id;
  }

  /** @returns the node that a unit leads to, -1 where no text goes on so. */
  step(node: number, unit: number): number {
    const key = node * 65536 + unit;
    const slot = this.#slot(key);
    return this.#keys[slot] === key ? this.#children[slot]! : NO_NODE;
  }

  /** @returns the id of the text that ends in a node, -1 = none does. */
  idAt(node: number): number {
    return this.#ids[node]!;
  }

  /** @returns where the longest text ends that begins at `from`; `from` when none does. */
  longestAt(text: string, from: number): number {
    let end = from;
    let node = this.step(ROOT, text.charCodeAt(from));
    for (let at = from + 1; node !== NO_NODE; at++) {
      if (this.#ids[node] !== NO_NODE) end = at;
      if (at >= text.length) break;
      node = this.step(node, text.charCodeAt(at));
    }
    return end;
  }

  #slot(key: number): number {
    const mask = this.#keys.length - 1;
    const hash = Math.imul(key / 65536, 0x9e3779b1) ^ Math.imul(key % 65536, 0x85ebca6b);
    let slot = (hash ^ (hash >>> 15)) & mask;
    while (this.#keys[slot] !== NO_NODE && this.#keys[slot] !== key) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(node: number, unit: number): number {
    if (2 * this.#nodes >= this.#keys.length) this.#rehash();
    const child = this.#nodes++;
    const slot = this.#slot(node * 65536 + unit);
    this.#keys[slot] = node * 65536 + unit;
    this.#children[slot] = child;
    return child;
  }

  #rehash(): void {
    const keys = this.#keys;
    const children = this.#children;
    const size = 2 * keys.length;
    this.#keys = new Float64Array(size).fill(NO_NODE);
    this.#children = new Int32Array(size);
    for (const [old, key] of keys.entries()) {
      if (key === NO_NODE) continue;
      const slot = this.#slot(key);
      this.#keys[slot] = key;
      this.#children[slot] = children[old]!;
    }
    const ids = new Int32Array(size / 2).fill(NO_NODE);
    ids.set(this.#ids);
    this.#ids = ids;
  }
}
