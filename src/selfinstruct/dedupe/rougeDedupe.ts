// Dedupe by ROUGE-L F with the decisions of rouge_score: the index decides, a scanner tells the rest. Runs in a browser.
import { type Found, RougeIndex } from './rougeIndex.ts';
import { type RougeOptions, rougeSettings } from './rougeOptions.ts';
import { meanOf, type ScanJob, type ScanPart, scan } from './scan.ts';
import type { BatchDedupe, Neighbour, Verdict } from './types.ts';

/** Scores texts against everything that was added: here in place (`scanInPlace`), or in worker threads (scanPool.ts). */
export interface Scanner {
  /** The next text; its id is the number of texts before it. */
  add(tokens: Int32Array): void;
  scan(jobs: readonly ScanJob[]): Promise<ScanPart[]>;
  close(): Promise<void>;
}

/** A scanner that works on the index's own store, in the calling thread. */
export function scanInPlace(index: RougeIndex, most: number): Scanner {
  return {
    add() {},
    async scan(jobs) {
      return jobs.map((job) => scan(index.store, index.pattern, job, most));
    },
    async close() {},
  };
}

export type ScannerMaker = (index: RougeIndex, most: number) => Scanner;

/**
 * Texts compared by ROUGE-L F. Nothing is random and nothing depends on time: the same texts in the same order give the same
 * verdicts, bit by bit, with any scanner.
 * @param texts that are in from the start: 52,000 take about half a second.
 * @throws HuacayaError USAGE for options out of range.
 */
export function createRougeDedupe(
  options: RougeOptions = {},
  texts: Iterable<string> = [],
  makeScanner: ScannerMaker = scanInPlace,
): BatchDedupe {
  const { threshold, tokenise, details, most } = rougeSettings(options);
  const index = new RougeIndex();
  const held: string[] = [];
  const scanner = makeScanner(index, most);
  const neighbours = ({ ids, scores }: Found): Neighbour[] =>
    ids.map((id, k) => ({ text: held[id]!, score: scores[k]! }));

  const add = (text: string, tokens: readonly string[] = tokenise(text)) => {
    held.push(text);
    scanner.add(index.add(tokens));
  };
  /** The verdict at once, or a job whose result completes it. */
  const decide = (tokens: readonly string[]): Verdict | ScanJob => {
    const ids = index.look(tokens);
    const above = index.nearest(ids, 1, threshold);
    if (above.ids.length > 0) return { duplicate: true, nearest: neighbours(above) };
    if (details === 'decision') return { duplicate: false, nearest: [] };
    if (details === 'nearest') return { duplicate: false, nearest: neighbours(index.nearest(ids, most)) };
    return { tokens: ids, limit: index.size };
  };
  const complete = async (decided: readonly (Verdict | ScanJob)[]): Promise<Verdict[]> => {
    const jobs = decided.filter((d) => 'limit' in d);
    const parts = jobs.length > 0 ? await scanner.scan(jobs) : [];
    let next = 0;
    return decided.map((d) => {
      if (!('limit' in d)) return d;
      const part = parts[next++]!;
      return { duplicate: false, nearest: neighbours(part), mean: meanOf(part, d.tokens.length, d.limit) };
    });
  };

  for (const text of texts) add(text);
  return {
    get size() {
      return index.size;
    },
    add: (text) => add(text),
    async check(text) {
      const [verdict] = await complete([decide(tokenise(text))]);
      return verdict!;
    },
    async admit(candidates) {
      const decided = candidates.map((text) => {
        const tokens = tokenise(text);
        const one = decide(tokens);
        if ('limit' in one || !one.duplicate) add(text, tokens);
        return one;
      });
      return complete(decided);
    },
    close: () => scanner.close(),
  };
}
