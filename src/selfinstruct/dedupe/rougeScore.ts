// ROUGE-L F (Lin 2004) from lengths, in the floating-point steps of rouge_score 0.1.2, so that `> 0.7` decides the same.

/** F-measure with beta 1 of texts of `m` and `n` tokens whose longest common subsequence has `lcs`. Symmetric in m and n. */
export function rougeF(lcs: number, m: number, n: number): number {
  if (lcs === 0) return 0;
  const precision = lcs / m;
  const recall = lcs / n;
  return (2 * precision * recall) / (precision + recall);
}

/**
 * The least LCS whose F is above `score`, or at least `score` with `reach`. More than min(m, n) means: none is.
 * By trying around the exact quotient, because F of a fraction that equals `score` may be rounded to either side of it.
 */
export function leastLcs(m: number, n: number, score: number, reach = false): number {
  let lcs = Math.max(1, Math.ceil((score * (m + n)) / 2) - 1);
  while (lcs <= m && lcs <= n) {
    const f = rougeF(lcs, m, n);
    if (f > score || (reach && f === score)) return lcs;
    lcs++;
  }
  return lcs;
}
