// How long the rows are, in tokens: what to set the cutoff to, and what a given cutoff costs.
import { usageError } from '../base/index.ts';
import { countTargets, type Example } from './buildExample.ts';

export interface LengthStats {
  rows: number;
  /** Tokens of all rows, after the cutoff. */
  totalTokens: number;
  /** Positions with a loss. */
  targetTokens: number;
  truncatedRows: number;
  /** In [0, 1]. */
  truncatedShare: number;
  min: number;
  max: number;
  mean: number;
  /** By nearest rank: a length that occurs in the data. */
  percentiles: { p50: number; p90: number; p95: number; p99: number };
  /** Equal-width bins, both ends inclusive, without gaps from `min` to `max`. */
  histogram: { from: number; to: number; count: number }[];
}

/** @param bins most bins in the histogram. All figures of an empty list are 0. */
export function lengthStats(examples: readonly Example[], bins = 10): LengthStats {
  if (!Number.isInteger(bins) || bins < 1) throw usageError(`the histogram needs at least one bin, but it has ${bins}`);
  const lengths = examples.map((example) => example.ids.length).sort((a, b) => a - b);
  const rows = lengths.length;
  const totalTokens = lengths.reduce((sum, length) => sum + length, 0);
  const truncatedRows = examples.filter((example) => example.truncated).length;
  const percentile = (percent: number) => lengths[Math.max(0, Math.ceil((percent * rows) / 100) - 1)] ?? 0;
  return {
    rows,
    totalTokens,
    targetTokens: examples.reduce((sum, example) => sum + countTargets(example), 0),
    truncatedRows,
    truncatedShare: rows === 0 ? 0 : truncatedRows / rows,
    min: lengths[0] ?? 0,
    max: lengths[rows - 1] ?? 0,
    mean: rows === 0 ? 0 : totalTokens / rows,
    percentiles: { p50: percentile(50), p90: percentile(90), p95: percentile(95), p99: percentile(99) },
    histogram: histogramOf(lengths, bins),
  };
}

/** @param sorted lengths, ascending. */
function histogramOf(sorted: readonly number[], bins: number): LengthStats['histogram'] {
  if (sorted.length === 0) return [];
  const min = sorted[0]!;
  const max = sorted[sorted.length - 1]!;
  const width = Math.max(1, Math.ceil((max - min + 1) / bins));
  const histogram: LengthStats['histogram'] = [];
  for (let from = min; from <= max; from += width) {
    histogram.push({ from, to: Math.min(from + width - 1, max), count: 0 });
  }
  for (const length of sorted) histogram[Math.floor((length - min) / width)]!.count++;
  return histogram;
}
