// Beam search over an abstract model, token for token what transformers 5 (GenerationMixin._beam_search) answers: running
// beams and finished answers are kept apart, scores are float32, and an answer enters only from the best numBeams.
import { HuacayaError, invariant, usageError } from '../base/index.ts';
import { type BeamOptions, checkBeam } from './beamOptions.ts';

/** What a model thinks comes next after one beam: its most probable tokens, most probable first. */
export interface BeamRow {
  readonly ids: ArrayLike<number>;
  readonly logits: ArrayLike<number>;
  /** log(sum(exp(logits))) over the whole vocabulary. */
  readonly logSumExp: number;
}

/** A model that follows several continuations of one prompt. */
export interface BeamModel {
  readonly vocabSize: number;
  /** Takes the prompt. @returns its `best` most probable next tokens. */
  start(promptIds: readonly number[], best: number): Promise<BeamRow>;
  /** Beam i continues what was beam `parents[i]` with `tokens[i]`. @returns a row for each beam. */
  step(parents: readonly number[], tokens: readonly number[], best: number): Promise<readonly BeamRow[]>;
  close(): void | Promise<void>;
}

export interface BeamRequest extends BeamOptions {
  maxNewTokens: number;
  /** Tokens that end an answer. */
  eosIds: readonly number[];
  /** At least 1: multiplies the log-probabilities of tokens seen in prompt or answer. Default 1, off. */
  repetitionPenalty?: number;
  /** Whether an answer is over for another reason (a stop string). Called with the new tokens, the last one new. */
  ends?: (ids: readonly number[]) => boolean;
  /** Aborted: the best so far is returned. */
  signal?: AbortSignal;
}

export interface BeamAnswer {
  /** New tokens, the end token included. */
  ids: number[];
  /** Sum of log-probabilities / length^lengthPenalty. */
  score: number;
  finish: 'eos' | 'stop' | 'length' | 'aborted';
}

type End = BeamAnswer['finish'] | undefined;
interface Running {
  ids: readonly number[];
  score: number;
}
interface Candidate extends Running {
  parent: number;
  end: End;
}
interface Finished extends Running {
  /** undefined: a place that is still free. */
  end: End;
}

const f32 = Math.fround;
/** Stands for "out of the race". */
const out = f32(-1e9);

/**
 * The best answers, best first; `model` is closed in every case.
 * @throws HuacayaError USAGE for options out of range, TOKEN_RANGE when the vocabulary is too small for so many beams.
 */
export async function beamSearch(
  model: BeamModel,
  promptIds: readonly number[],
  o: BeamRequest,
): Promise<BeamAnswer[]> {
  try {
    return await search(model, promptIds, o);
  } finally {
    await model.close();
  }
}

async function search(model: BeamModel, promptIds: readonly number[], o: BeamRequest): Promise<BeamAnswer[]> {
  const penalty = o.repetitionPenalty ?? 1;
  checkBeam(o, { sampling: { repetitionPenalty: penalty } });
  if (!Number.isInteger(o.maxNewTokens) || o.maxNewTokens < 1) {
    throw usageError(`max_new_tokens is ${o.maxNewTokens}; it must be a whole number of at least 1`);
  }
  if (promptIds.length === 0) throw usageError('the prompt is empty');
  // Enough that numBeams candidates are left when every beam's end tokens are among them.
  const kept = Math.max(2, 1 + o.eosIds.length) * o.numBeams;
  if (kept > model.vocabSize) {
    throw new HuacayaError(
      'TOKEN_RANGE',
      `${o.numBeams} beams need ${kept} tokens, the model knows ${model.vocabSize}`,
    );
  }
  const rowsFor = (beams: readonly Running[]) => {
    const seen = beams.map((b) => (penalty === 1 ? undefined : new Set([...promptIds, ...b.ids])));
    // A penalised row loses at most its seen tokens from the front.
    const best = Math.min(model.vocabSize, kept + Math.max(0, ...seen.map((s) => s?.size ?? 0)));
    return { seen, best };
  };

  let running: Running[] = [{ ids: [], score: 0 }];
  let finished: Finished[] = Array.from({ length: o.numBeams }, () => ({ ids: [], score: out, end: undefined }));
  let { seen, best } = rowsFor(running);
  let rows: readonly BeamRow[] = [await model.start(promptIds, best)];
  for (let length = 1; ; length++) {
    const candidates = ranked(running, rows, seen, penalty, kept);
    for (const c of candidates) c.end = endOf(c.ids, o);
    const next = topBy(candidates, (c) => (c.end ? f32(c.score + out) : c.score), o.numBeams);
    const rated = candidates.map((c, rank) => ({
      ids: c.ids,
      end: rank < o.numBeams ? c.end : undefined,
      score: f32(rate(c.score, length, o) + (rank < o.numBeams && c.end ? 0 : out)),
    }));
    finished = topBy([...finished, ...rated], (a) => a.score, o.numBeams);
    const full = finished.every((a) => a.end);
    const over =
      (o.earlyStopping === true && full) ||
      candidates.every((c) => c.end) ||
      !mayImprove(next[0]!.score, length, finished, o);
    if (!over && o.signal?.aborted) {
      const cut = next
        .filter((b) => !b.end)
        .map((b) => ({ ids: b.ids, score: rate(b.score, length, o), end: 'aborted' as const }));
      finished = topBy([...finished, ...cut], (a) => a.score, o.numBeams);
    }
    if (over || o.signal?.aborted) break;
    running = next;
    ({ seen, best } = rowsFor(running));
    rows = await model.step(
      next.map((c) => c.parent),
      next.map((c) => c.ids.at(-1)!),
      best,
    );
  }
  return finished
    .filter((a) => a.end)
    .slice(0, o.returned)
    .map((a) => ({ ids: [...a.ids], score: a.score, finish: a.end! }));
}

/** The `count` best continuations that the rows offer, by falling score. */
function ranked(
  running: readonly Running[],
  rows: readonly BeamRow[],
  seen: readonly (ReadonlySet<number> | undefined)[],
  penalty: number,
  count: number,
): Candidate[] {
  invariant(rows.length === running.length, `${rows.length} rows for ${running.length} beams`);
  const all: (Candidate & { id: number })[] = [];
  running.forEach((beam, parent) => {
    const row = rows[parent]!;
    for (let i = 0; i < row.ids.length; i++) {
      const id = row.ids[i]!;
      let logProb = f32(row.logits[i]! - row.logSumExp);
      if (seen[parent]?.has(id)) logProb = f32(logProb * f32(penalty));
      all.push({ ids: beam.ids, id, score: f32(logProb + beam.score), parent, end: undefined });
    }
  });
  all.sort((a, b) => b.score - a.score || a.parent - b.parent || a.id - b.id);
  return all.slice(0, count).map(({ id, ...c }) => ({ ...c, ids: [...c.ids, id] }));
}

function endOf(ids: readonly number[], o: BeamRequest): End {
  if (o.eosIds.includes(ids.at(-1)!)) return 'eos';
  if (o.ends?.(ids)) return 'stop';
  return ids.length >= o.maxNewTokens ? 'length' : undefined;
}

const rate = (score: number, length: number, o: BeamOptions) => f32(score / f32(length ** o.lengthPenalty));

/** Whether a running beam could still rate better than the worst finished answer; exact only for some settings. */
function mayImprove(bestRunning: number, length: number, finished: readonly Finished[], o: BeamRequest): boolean {
  const longest = o.earlyStopping === 'never' && o.lengthPenalty > 0 ? o.maxNewTokens : length;
  const possible = rate(bestRunning, longest, o);
  const worst = Math.min(...finished.map((a) => a.score));
  return finished.some((a) => possible > (a.end ? worst : out));
}

/** The `count` largest, equal ones in the order they came. */
function topBy<T>(items: readonly T[], value: (item: T) => number, count: number): T[] {
  const keyed = items.map((item) => ({ item, key: value(item) }));
  keyed.sort((a, b) => b.key - a.key);
  return keyed.slice(0, count).map((k) => k.item);
}
