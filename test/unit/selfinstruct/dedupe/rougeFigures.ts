// Figures of rouge_score 0.1.2; test/fixtures/rouge/make.py made them.
import { readFileSync } from 'node:fs';

export interface RougeFigures {
  /** Characters outside ASCII that leave a token, and the tokens. */
  oddCharacters: [number, string[]][];
  tokens: [string, string[]][];
  /** Texts and their ROUGE-L F: rounded to ten digits, and as it is. */
  golden: [string, string, number][];
  pairs: [string, string, number][];
  /** LCS, lengths and F where the exact quotient is 0.7. */
  atThreshold: [number, number, number, number][];
  /** The published loop: text, duplicate, nearest scores, mean. */
  run: [string, boolean, number[], number][];
}

export const rouge: RougeFigures = JSON.parse(
  readFileSync(new URL('../../../fixtures/rouge/rouge.json', import.meta.url), 'utf8'),
);
