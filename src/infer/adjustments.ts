// Penalties and logit_bias as a short list of tokens, so that a graph changes those logits alone. Repetition counts prompt
// and answer (Keskar et al. 2019, as transformers does); presence and frequency count the answer only (as OpenAI does).
import type { SamplingOptions } from './sampling.ts';

/**
 * What happens to the logits of single tokens, each named once. In this order, in float32:
 * l = l > 0 ? l / repetition : l * repetition; l = l + add.
 */
export interface Adjustments {
  ids: Int32Array;
  /** 1: not divided. */
  repetition: Float32Array;
  /** logit_bias - presence_penalty - frequency_penalty * times seen. */
  add: Float32Array;
}

/** Belongs to one request and follows its answer. */
export interface AdjustmentTracker {
  /** Takes a token of the answer; costs the same however long it is. */
  push(id: number): void;
  /** Views that are valid until the next `push`. */
  current(): Adjustments;
}

/** Undefined when the options adjust nothing, so that the plain path stays plain. */
export function createAdjustments(o: SamplingOptions, promptIds: readonly number[]): AdjustmentTracker | undefined {
  const repeats = o.repetitionPenalty !== 1;
  const counts = o.presencePenalty !== 0 || o.frequencyPenalty !== 0;
  if (!repeats && !counts && o.logitBias.size === 0) return undefined;

  const places = new Map<number, number>();
  const inAnswer = new Map<number, number>();
  let room = 64;
  let ids = new Int32Array(room);
  let repetition = new Float32Array(room);
  let add = new Float32Array(room);

  const placeOf = (id: number): number => {
    let at = places.get(id);
    if (at !== undefined) return at;
    at = places.size;
    if (at === room) {
      room *= 2;
      const old = { ids, repetition, add };
      ids = new Int32Array(room);
      repetition = new Float32Array(room);
      add = new Float32Array(room);
      ids.set(old.ids);
      repetition.set(old.repetition);
      add.set(old.add);
    }
    places.set(id, at);
    ids[at] = id;
    repetition[at] = 1;
    return at;
  };

  // The place comes first: finding it may replace the arrays.
  const setRepetition = (id: number) => {
    const at = placeOf(id);
    repetition[at] = o.repetitionPenalty;
  };
  const setAdd = (id: number, value: number) => {
    const at = placeOf(id);
    add[at] = value;
  };

  for (const [id, bias] of o.logitBias) setAdd(id, bias);
  if (repeats) for (const id of promptIds) setRepetition(id);

  return {
    push(id) {
      if (repeats) setRepetition(id);
      if (!counts) return;
      const seen = (inAnswer.get(id) ?? 0) + 1;
      inAnswer.set(id, seen);
      // From the start, not one step more: steps of float32 would add up their rounding.
      setAdd(id, (o.logitBias.get(id) ?? 0) - o.presencePenalty - o.frequencyPenalty * seen);
    },
    current() {
      const n = places.size;
      return { ids: ids.subarray(0, n), repetition: repetition.subarray(0, n), add: add.subarray(0, n) };
    },
  };
}

/** What a graph does with the list: a changed copy of a row [vocab]. Ids beyond the row are left out. */
export function applyAdjustments(logits: Float32Array, list: Adjustments): Float32Array {
  const out = logits.slice();
  list.ids.forEach((id, i) => {
    if (id >= out.length) return;
    const l = logits[id]!;
    const r = list.repetition[i]!;
    out[id] = Math.fround(l > 0 ? l / r : l * r) + list.add[i]!;
  });
  return out;
}

/** The logit that the model gave to `id`, from the adjusted one: to float32's rounding. */
export function undoAdjustment(list: Adjustments, id: number, adjusted: number): number {
  const i = list.ids.indexOf(id);
  if (i < 0) return adjusted;
  const l = adjusted - list.add[i]!;
  const r = list.repetition[i]!;
  return l > 0 ? l * r : l / r;
}
