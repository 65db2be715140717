// JSON's numbers as automata, with bounds. All have at most 15 significant digits: those a float64 keeps, so that what a
// decimal comparison says here is what every reader of the JSON finds, and nothing overflows.
import { HuacayaError } from '../../base/index.ts';
import type { LexemeDraft } from './grammar.ts';

export interface NumberBounds {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** The bounds themselves are out. */
  readonly exclusiveMin?: number | undefined;
  readonly exclusiveMax?: number | undefined;
}

const mostDigits = 15;

export const numberPattern = '-?(0|[1-9]\\d{0,14})(\\.\\d{1,15})?([eE][+-]?\\d{1,2})?';
/** No -0. */
export const integerPattern = '0|-?[1-9]\\d{0,14}';

/** A bound of magnitudes, in decimal digits. */
interface Limit {
  whole: string;
  fraction: string;
  inclusive: boolean;
}

/** Numbers within the bounds, in plain decimals (no exponent). May be empty. */
export function boundedNumber(bounds: NumberBounds, integer: boolean): LexemeDraft {
  const lower = tighter(bounds.min, bounds.exclusiveMin, Math.max);
  const upper = tighter(bounds.max, bounds.exclusiveMax, Math.min);
  const draft: LexemeDraft = { edges: [[]], ends: [false] };
  const zero: Limit = { whole: '0', fraction: '', inclusive: true };
  if (!upper || upper.value >= 0) {
    magnitudes(draft, 0, lower && lower.value >= 0 ? limit(lower) : zero, upper && limit(upper), integer);
  }
  if (!lower || lower.value < 0) {
    const minus = node(draft);
    draft.edges[0]!.push({ lo: 0x2d, hi: 0x2d, to: minus });
    // The other way round, and no -0.
    const from = upper && upper.value < 0 ? limit(upper) : { ...zero, inclusive: false };
    magnitudes(draft, minus, from, lower && limit(lower), integer);
  }
  return draft;
}

interface Bound {
  value: number;
  inclusive: boolean;
}

function tighter(
  bound: number | undefined,
  exclusive: number | undefined,
  pick: (a: number, b: number) => number,
): Bound | undefined {
  if (exclusive === undefined) return bound === undefined ? undefined : { value: bound, inclusive: true };
  if (bound === undefined) return { value: exclusive, inclusive: false };
  const value = pick(bound, exclusive);
  return { value, inclusive: value !== exclusive };
}

function limit({ value, inclusive }: Bound): Limit {
  const [digits, exponent] = Math.abs(value).toExponential().split('e') as [string, string];
  const shift = Number(exponent);
  if (Math.abs(shift) > 400) throw new HuacayaError('BAD_SCHEMA', `${value} is no bound for a number`);
  const all = digits.replace('.', '');
  if (shift < 0) return { whole: '0', fraction: '0'.repeat(-shift - 1) + all, inclusive };
  const whole = all.slice(0, shift + 1).padEnd(shift + 1, '0');
  return { whole, fraction: all.slice(shift + 1), inclusive };
}

function node(draft: LexemeDraft): number {
  draft.ends.push(false);
  return draft.edges.push([]) - 1;
}

/** Adds what lies from `lower` to `upper` behind node `start`: a branch for each count of digits before the point. */
function magnitudes(draft: LexemeDraft, start: number, lower: Limit, upper: Limit | undefined, integer: boolean): void {
  for (let length = 1; length <= mostDigits; length++) {
    if (lower.whole.length > length || (upper && upper.whole.length < length)) continue;
    // Tight: so far equal to the bound, so the next digit decides.
    const low = lower.whole.length === length;
    const high = upper?.whole.length === length;
    const known = new Map<string, number>();
    const to = (at: number, tightLow: boolean, tightHigh: boolean): number => {
      const key = `${at} ${tightLow} ${tightHigh}`;
      const found = known.get(key);
      if (found !== undefined) return found;
      const made = node(draft);
      known.set(key, made);
      grow(made, at, tightLow, tightHigh);
      return made;
    };
    const step = (
      from: number,
      lowDigit: number | undefined,
      highDigit: number | undefined,
      first: number,
      at: number,
    ) => {
      for (let digit = Math.max(first, lowDigit ?? 0); digit <= (highDigit ?? 9); digit++) {
        const byte = 0x30 + digit;
        draft.edges[from]!.push({ lo: byte, hi: byte, to: to(at, digit === lowDigit, digit === highDigit) });
      }
    };
    /** `at` digits were read; what follows them. */
    const grow = (from: number, at: number, tightLow: boolean, tightHigh: boolean): void => {
      if (at < length) {
        step(
          from,
          tightLow ? Number(lower.whole[at]) : undefined,
          tightHigh ? Number(upper!.whole[at]) : undefined,
          at === 0 && length > 1 ? 1 : 0,
          at + 1,
        );
        return;
      }
      const decimals = at - length;
      const belowLower = tightLow && (/[1-9]/.test(lower.fraction.slice(decimals)) || !lower.inclusive);
      const aboveUpper = tightHigh && !/[1-9]/.test(upper!.fraction.slice(decimals)) && !upper!.inclusive;
      draft.ends[from] = !belowLower && !aboveUpper;
      if (integer || at >= mostDigits) return;
      let behindPoint = from;
      if (decimals === 0) {
        behindPoint = node(draft);
        draft.edges[from]!.push({ lo: 0x2e, hi: 0x2e, to: behindPoint });
      }
      step(
        behindPoint,
        tightLow ? Number(lower.fraction[decimals] ?? 0) : undefined,
        tightHigh ? Number(upper!.fraction[decimals] ?? 0) : undefined,
        0,
        at + 1,
      );
    };
    grow(start, 0, low, high);
  }
}
