// The strings of test/fixtures/tokenizer/spm/strings.py, drawn from the same seed: change both or none.
import { readFileSync } from 'node:fs';

interface Sources {
  texts: string[];
  atoms: Record<string, string[]>;
}

export const spmFile = (name: string) => readFileSync(new URL(`../../fixtures/tokenizer/spm/${name}`, import.meta.url));

const sources = JSON.parse(spmFile('sources.json').toString('utf8')) as Sources;
const texts = sources.texts.map((text) => Array.from(text));

class Draw {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return (this.#state >>> 8) % n;
  }
  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

function codePoint(draw: Draw): string {
  const value = draw.below(draw.of([0x80, 0x800, 0x3000, 0xfffe, 0x20000, 0x110000]));
  return (value >= 0xd800 && value <= 0xdfff) || value === 0 ? '\ufffd' : String.fromCodePoint(value);
}

const KINDS = [
  'space',
  'space',
  'space',
  'control',
  'emoji',
  'combining',
  'compatibility',
  'look',
  'code',
  'punctuation',
];

function part(draw: Draw): string {
  const kind = draw.below(20);
  if (kind < 8) {
    const text = draw.of(texts);
    const begin = draw.below(text.length);
    return text.slice(begin, begin + 1 + draw.below(40)).join('');
  }
  if (kind < 18) return draw.of(sources.atoms[KINDS[kind - 8]!]!);
  if (kind === 18) return codePoint(draw);
  return draw.of(['a', 'ab', ' ', 'x', '▁', '0', 'é']).repeat(1 + draw.below(30));
}

/** The first is empty, every 250th is long. */
export function spmStrings(count: number): string[] {
  const draw = new Draw(20261128);
  return Array.from({ length: count }, (_, index) => {
    const parts = index % 250 === 249 ? 400 + draw.below(400) : index === 0 ? 0 : 1 + draw.below(9);
    return Array.from({ length: parts }, () => part(draw)).join('');
  });
}
