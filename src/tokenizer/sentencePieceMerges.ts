// SentencePiece stores a score for every token, BPE wants merges in order. A token can come from any pair of tokens that
// join to it; the better its score, the earlier. Among equals the order is that of the pairs' ids, which reproduces the
// 61,249 merges of LLaMA's own tokenizer.json (made by Hugging Face's converter) one by one.

/**
 * @param vocab token -> id. @param scores [id], higher = merged earlier.
 * @param leftOut tokens that neither merge nor are merged to: special, byte and user-defined ones.
 */
export function mergesFromScores(
  vocab: ReadonlyMap<string, number>,
  scores: ArrayLike<number>,
  leftOut: ReadonlySet<string>,
): [string, string][] {
  const idOf = (token: string) => (token === '' || leftOut.has(token) ? undefined : vocab.get(token));
  const merges: { pair: [string, string]; left: number; right: number; score: number }[] = [];
  for (const [token, id] of vocab) {
    if (leftOut.has(token)) continue;
    let head = '';
    for (const char of token) {
      const left = idOf(head);
      const right = left === undefined ? undefined : idOf(token.slice(head.length));
      if (left !== undefined && right !== undefined) {
        merges.push({ pair: [head, token.slice(head.length)], left, right, score: scores[id]! });
      }
      head += char;
    }
  }
  merges.sort((a, b) => b.score - a.score || a.left - b.left || a.right - b.right);
  return merges.map(({ pair }) => pair);
}
