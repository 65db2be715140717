// SentencePiece's replacement rules as its trainer compiles them: a double-array trie (Darts-clone) from UTF-8 texts to
// offsets into a block of texts that end in a zero byte. https://github.com/google/sentencepiece/blob/master/src/normalizer.cc
import { badTokenizer } from './definition.ts';

export interface Replacement {
  text: string;
  /** UTF-16 units of the input that it stands for. */
  length: number;
}

/** @returns the rule with the longest text at a place, undefined where none fits. `text` has no lone surrogates. */
export type Charsmap = (text: string, at: number) => Replacement | undefined;

const LABEL = 0x800000ff;

/** Bit fields of a unit of the double array: label 31 + 7-0, has a value below 8, offset 31-10 (times 256 with bit 9). */
const labelOf = (unit: number) => (unit & LABEL) >>> 0;
const offsetOf = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6);
const hasLeaf = (unit: number) => (unit & 0x100) !== 0;

/** @throws HuacayaError BAD_TOKENIZER when the parts do not fit together; nothing can be read outside of them later. */
export function parseCharsmap(blob: Uint8Array): Charsmap {
  const bad = (why: string) => badTokenizer(`normalizer_spec.precompiled_charsmap ${why}`);
  if (blob.length <= 4) throw bad(`has ${blob.length} bytes`);
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
  const trieBytes = view.getUint32(0, true);
  if (trieBytes < 1024 || trieBytes % 1024 !== 0 || trieBytes >= blob.length - 4) {
    throw bad(`says that ${trieBytes} of its ${blob.length} bytes are the trie`);
  }
  const units = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const texts = blob.subarray(4 + trieBytes);
  if (texts.at(-1) !== 0) throw bad('does not end in a zero byte');
  const wrong = brokenUnit(units, texts.length);
  if (wrong !== -1) throw bad(`has a broken trie (unit ${wrong})`);
  const replacements = new Map<number, string>();
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

  const textAt = (offset: number): string => {
    let text = replacements.get(offset);
    if (text === undefined) {
      text = utf8.decode(texts.subarray(offset, texts.indexOf(0, offset)));
      replacements.set(offset, text);
    }
    return text;
  };

  const root = offsetOf(units[0]!);
  /** Where the children of the place reached so far lie, and the unit that led there. */
  let node = root;
  let last = 0;
  /** @returns whether the trie goes on with this byte. */
  const step = (byte: number): boolean => {
    node ^= byte;
    last = units[node]!;
    if (labelOf(last) !== byte) return false;
    node ^= offsetOf(last);
    return true;
  };
  return (text, from) => {
    node = root;
    let found: Replacement | undefined;
    for (let at = from; at < text.length; ) {
      const char = text.codePointAt(at)!;
      if (!stepChar(char, step)) break;
      at += char > 0xffff ? 2 : 1;
      if (hasLeaf(last)) found = { text: textAt(units[node]! & 0x7fffffff), length: at - from };
    }
    return found;
  };
}

/** The bytes of a character in UTF-8, one after the other, until one leads nowhere. */
function stepChar(char: number, step: (byte: number) => boolean): boolean {
  if (char < 0x80) return step(char);
  const tail = (shift: number) => step(0x80 | ((char >> shift) & 0x3f));
  if (char < 0x800) return step(0xc0 | (char >> 6)) && tail(0);
  if (char < 0x10000) return step(0xe0 | (char >> 12)) && tail(6) && tail(0);
  return step(0xf0 | (char >> 18)) && tail(12) && tail(6) && tail(0);
}

/** The library's own check: every jump ends within the trie, every value within the texts. @returns -1 = all is well. */
function brokenUnit(units: Uint32Array, textBytes: number): number {
  const jump = (i: number) => i ^ offsetOf(units[i]!);
  if (labelOf(units[0]!) !== 0 || hasLeaf(units[0]!) || offsetOf(units[0]!) === 0) return 0;
  for (let i = 0; i < units.length; i++) {
    const unit = units[i]!;
    if (labelOf(unit) > 0xff) {
      if ((unit & 0x7fffffff) >= textBytes) return i;
    } else if ((jump(i) | 0xff) >>> 0 >= units.length || (hasLeaf(unit) && labelOf(units[jump(i)]!) <= 0xff)) {
      return i;
    }
  }
  return -1;
}
