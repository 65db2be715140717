// Is a generated row in an evaluation set? Then a score on that set says nothing about a model that was trained on it.
//
// Two signs: a run of 13 tokens that both have, anywhere (Brown et al. 2020, appendix C), and an instruction that is nearly
// the question (ROUGE-L F, the measure of the dedupe).
import { usageError } from '../../base/index.ts';
import { RougeIndex, rougeSettings, type TokeniseName } from '../dedupe/index.ts';
import type { EvaluationSet } from './evaluationSet.ts';
import { GramTable } from './gramTable.ts';

export interface ContaminationOptions {
  /** Length of a run of tokens; default 13. */
  ngram?: number;
  /** A text of an evaluation set that has fewer tokens than `ngram` is looked for whole, from this many on; default 8. */
  shortest?: number;
  /** Least ROUGE-L F of instruction and question; default 0.7. */
  threshold?: number;
  /** Default `unicode`, which is the same as `rouge` on plain English. */
  tokenise?: TokeniseName;
}

export interface Finding {
  /** 0-based, of the generated rows. */
  index: number;
  why: 'ngram' | 'similar';
  /** Name of the evaluation set, and its 1-based row. */
  set: string;
  row: number;
  /** `ngram`: the tokens in common, as long as the run goes on. `similar`: the question. */
  text: string;
  /** ROUGE-L F, with `similar`. */
  score?: number;
}

export interface GeneratedRow {
  instruction: string;
  input?: string;
  output?: string;
}

/**
 * Rows that share something with an evaluation set: at most one finding of each kind for a row, rows in order.
 * @throws HuacayaError USAGE for options out of range.
 */
export function findContamination(
  rows: readonly GeneratedRow[],
  sets: readonly EvaluationSet[],
  options: ContaminationOptions = {},
): Finding[] {
  const { ngram = 13, shortest = 8 } = options;
  const { threshold, tokenise } = rougeSettings({ tokenise: 'unicode', ...options });
  for (const [name, value] of Object.entries({ ngram, shortest })) {
    if (!Number.isInteger(value) || value < 1) throw usageError(`${name} is ${value}`, 'Use a whole number from 1.');
  }
  const places = sets.flatMap((set) => set.rows.map((row) => ({ set: set.name, row: row.row, source: row })));

  const questions = new RougeIndex();
  const words = new Map<string, number>();
  const ids: number[] = [];
  /** Where each text begins in `ids`, and whose it is. */
  const starts: number[] = [];
  const owners: number[] = [];
  for (const [owner, { source }] of places.entries()) {
    questions.add(tokenise(source.question));
    for (const text of source.texts) {
      starts.push(ids.length);
      owners.push(owner);
      for (const token of tokenise(text)) {
        if (!words.has(token)) words.set(token, words.size);
        ids.push(words.get(token)!);
      }
    }
  }
  starts.push(ids.length);
  const tables = new Map<number, GramTable>();
  for (const k of owners.keys()) {
    const length = starts[k + 1]! - starts[k]!;
    if (length < Math.min(shortest, ngram)) continue;
    const n = Math.min(length, ngram);
    const table = tables.get(n) ?? new GramTable(n, ids);
    tables.set(n, table);
    table.add(starts[k]!, starts[k + 1]!);
  }
  const longestFirst = [...tables].sort(([a], [b]) => b - a).map(([n, table]) => ({ n, table }));

  /** The index in `starts` of the text that holds a place. */
  const textAt = (place: number): number => {
    let [low, high] = [0, owners.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (starts[middle]! <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const sharedRun = (text: string): Omit<Finding, 'index'> | undefined => {
    const tokens = tokenise(text);
    const own = tokens.map((token) => words.get(token) ?? -1);
    for (const { n, table } of longestFirst) {
      const hit = table.first(own);
      if (!hit) continue;
      const k = textAt(hit.place);
      let length = n;
      while (hit.place + length < starts[k + 1]! && own[hit.at + length] === ids[hit.place + length]) length++;
      const { set, row } = places[owners[k]!]!;
      return { why: 'ngram', set, row, text: tokens.slice(hit.at, hit.at + length).join(' ') };
    }
    return undefined;
  };
  const nearQuestion = (variants: readonly string[]): Omit<Finding, 'index'> | undefined => {
    let best: Omit<Finding, 'index'> | undefined;
    for (const variant of variants) {
      const found = questions.nearest(questions.look(tokenise(variant)), 1, threshold, true);
      const [id, score] = [found.ids[0], found.scores[0]];
      if (id === undefined || score === undefined || score <= (best?.score ?? 0)) continue;
      const { set, row, source } = places[id]!;
      best = { why: 'similar', set, row, text: source.question, score };
    }
    return best;
  };

  const findings: Finding[] = [];
  for (const [index, { instruction, input = '', output = '' }] of rows.entries()) {
    const similar = nearQuestion(input === '' ? [instruction] : [instruction, `${instruction}\n${input}`]);
    if (similar) findings.push({ index, ...similar });
    for (const text of [instruction, input, output]) {
      const run = sharedRun(text);
      if (!run) continue;
      findings.push({ index, ...run });
      break;
    }
  }
  return findings;
}
