// ROUGE-L the slow way: the table of the textbook, every pair.
import { rougeF } from '../../../../src/selfinstruct/dedupe/index.ts';

/** Negative tokens equal nothing. */
export function naiveLcs(a: ArrayLike<number | string>, b: ArrayLike<number | string>): number {
  let above = new Array<number>(b.length + 1).fill(0);
  for (let i = 0; i < a.length; i++) {
    const row = [0];
    for (let j = 0; j < b.length; j++) {
      const equal = a[i] === b[j] && !(Number(a[i]) < 0);
      row.push(equal ? above[j]! + 1 : Math.max(above[j + 1]!, row[j]!));
    }
    above = row;
  }
  return above[b.length]!;
}

export function naiveScore(a: readonly string[], b: readonly string[]): number {
  return rougeF(naiveLcs(a, b), a.length, b.length);
}

export interface NaiveVerdict {
  duplicate: boolean;
  nearest: { text: string; score: number }[];
  mean: number;
}

/** The published loop over texts that are given as tokens joined by spaces. */
export function naiveRun(texts: readonly string[], threshold: number, most = 10): NaiveVerdict[] {
  const held: string[] = [];
  const split = (text: string) => (text === '' ? [] : text.split(' '));
  return texts.map((text) => {
    const scores = held.map((other) => naiveScore(split(text), split(other)));
    const duplicate = scores.some((s) => s > threshold);
    const order = scores.map((score, id) => ({ score, id })).filter(({ score }) => score > 0);
    order.sort((a, b) => b.score - a.score || a.id - b.id);
    const nearest = order.slice(0, duplicate ? 1 : most).map(({ score, id }) => ({ text: held[id]!, score }));
    const mean = scores.length === 0 ? 0 : scores.reduce((sum, s) => sum + s, 0) / scores.length;
    if (!duplicate) held.push(text);
    return { duplicate, nearest, mean };
  });
}
