// Dedupe by meaning: cosine of embeddings that the caller's function makes, against every text. Exact, no index.
import { HuacayaError, usageError } from '../../base/index.ts';
import { NearestList } from './nearestList.ts';
import { checkThreshold } from './rougeOptions.ts';
import type { BatchDedupe, Verdict } from './types.ts';

export interface EmbeddingOptions {
  /** One vector a text, in order, all of one length. */
  embed: (texts: string[]) => Promise<Float32Array[]>;
  /** A text is a duplicate when its cosine with one that is in is above this; default 0.9. Depends on the model. */
  threshold?: number;
  /** Most texts in one call of `embed`; default 256. */
  batch?: number;
  most?: number;
}

/**
 * Texts compared by the cosine of their embeddings; a negative one counts as 0. Every text is embedded once; calls of `embed`
 * do not overlap. A check costs as many multiplications as all vectors have numbers: 20 million with 52,000 of 384.
 * @throws HuacayaError USAGE for options out of range; `check` and `admit` EMBEDDING when `embed` answers with the wrong
 * number or length of vectors, and what `embed` throws: nothing is lost then, the next check asks again.
 */
export function createEmbeddingDedupe(options: EmbeddingOptions, texts: Iterable<string> = []): BatchDedupe {
  const { embed, threshold = 0.9, batch = 256, most = 10 } = options;
  checkThreshold(threshold);
  for (const [name, value] of Object.entries({ batch, most })) {
    if (!Number.isInteger(value) || value < 1) throw usageError(`${name} is ${value}`, 'Use a whole number from 1.');
  }
  const held: string[] = [];
  /** Unit vectors of the first texts of `held`; the others get theirs before the next comparison. */
  const vectors: Float32Array[] = [];
  /** Those of the last candidates, some of which are about to be added. */
  let recent = new Map<string, Float32Array>();
  /** Calls take effect in the order in which they were made, however long `embed` takes. */
  let queue: Promise<unknown> = Promise.resolve();
  let adding = 0;

  const inTurn = <T>(work: () => T | Promise<T>): Promise<T> => {
    const result = queue.then(work);
    queue = result.catch(() => {});
    return result;
  };
  /** The vectors of the candidates; those of all of `held` are stored then. */
  const prepare = async (candidates: readonly string[]) => {
    const known = new Map(recent);
    const wanted = [...new Set([...held.slice(vectors.length), ...candidates])].filter((text) => !known.has(text));
    for (let from = 0; from < wanted.length; from += batch) {
      const part = wanted.slice(from, from + batch);
      const answer = await embed(part);
      checkAnswer(answer, part.length, (vectors[0] ?? known.values().next().value ?? answer[0])?.length);
      for (const [k, text] of part.entries()) known.set(text, unit(answer[k]!));
    }
    while (vectors.length < held.length) vectors.push(known.get(held[vectors.length]!)!);
    recent = new Map(candidates.map((text) => [text, known.get(text)!]));
    return candidates.map((text) => known.get(text)!);
  };
  const compare = (vector: Float32Array): Verdict => {
    const best = new NearestList(most);
    let sum = 0;
    for (const [id, other] of vectors.entries()) {
      const score = cosine(vector, other);
      sum += score;
      if (score > 0 && score >= best.bar) best.offer(score, id);
    }
    const nearest = best.ids.map((id, k) => ({ text: held[id]!, score: best.scores[k]! }));
    const duplicate = (best.scores[0] ?? 0) > threshold;
    return duplicate ? { duplicate, nearest } : { duplicate, nearest, mean: sum / Math.max(1, vectors.length) };
  };

  const add = (text: string) => {
    adding++;
    void inTurn(() => {
      adding--;
      held.push(text);
    });
  };

  for (const text of texts) held.push(text);
  return {
    get size() {
      return held.length + adding;
    },
    add,
    check: (text) => inTurn(async () => compare((await prepare([text]))[0]!)),
    admit: (candidates) =>
      inTurn(async () => {
        const found = await prepare(candidates);
        return found.map((vector, k) => {
          const verdict = compare(vector);
          if (!verdict.duplicate) {
            held.push(candidates[k]!);
            vectors.push(vector);
          }
          return verdict;
        });
      }),
    close: () => inTurn(() => {}),
  };
}

function checkAnswer(answer: readonly Float32Array[], count: number, length: number | undefined): void {
  const wrong = answer.find((v) => v.length !== length || !v.every(Number.isFinite));
  if (answer.length === count && !wrong) return;
  const what = wrong
    ? `a vector of ${wrong.length} numbers where ${length} finite ones were expected`
    : `${answer.length} vectors for ${count} texts`;
  throw new HuacayaError('EMBEDDING', `the embeddings cannot be compared: there came ${what}`, {
    hint: 'Every text needs one vector, from the same model.',
  });
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  return length > 0 ? vector.map((x) => x / length) : vector.slice();
}

function cosine(a: Float32Array, b: Float32Array): number {
  let dot = 0;
  for (let i = 0; i < a.length; i++) dot += a[i]! * b[i]!;
  return Math.min(1, Math.max(0, dot));
}
