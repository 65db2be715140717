// The decoding settings of the page: their ranges, where they do nothing, and how they are sent.
import type { WireOptions } from '../api/types.ts';
import { effectiveMode } from './effectiveMode.ts';

export interface Sampling {
  temperature: number;
  topP: number;
  topK: number;
  minP: number;
  repetitionPenalty: number;
  presencePenalty: number;
  frequencyPenalty: number;
  maxTokens: number;
  /** Absent: a new one for each question. */
  seed?: number | undefined;
  stop: readonly string[];
}

export type Knob = Exclude<keyof Sampling, 'seed' | 'stop'>;

export interface Range {
  min: number;
  max: number;
  step: number;
  /** Where it has no effect. */
  off?: number;
}

export const ranges: Record<Knob, Range> = {
  temperature: { min: 0, max: 2, step: 0.05 },
  topP: { min: 0.05, max: 1, step: 0.01, off: 1 },
  topK: { min: 0, max: 200, step: 1, off: 0 },
  minP: { min: 0, max: 1, step: 0.01, off: 0 },
  repetitionPenalty: { min: 1, max: 2, step: 0.01, off: 1 },
  presencePenalty: { min: -2, max: 2, step: 0.1, off: 0 },
  frequencyPenalty: { min: -2, max: 2, step: 0.1, off: 0 },
  maxTokens: { min: 1, max: 2048, step: 1 },
};

/** As many as the server takes. */
export const mostStops = 16;

const plain = { repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, maxTokens: 256, stop: [] };

export const presets = {
  greedy: { ...plain, temperature: 0, topP: 1, topK: 0, minP: 0 },
  balanced: { ...plain, temperature: 0.7, topP: 0.9, topK: 40, minP: 0 },
  creative: { ...plain, temperature: 1.1, topP: 1, topK: 0, minP: 0.05 },
} satisfies Record<string, Sampling>;

export type Preset = keyof typeof presets;

const choiceKnobs = ['temperature', 'topP', 'topK', 'minP'] as const;

/** A preset changes how tokens are chosen, and nothing else. */
export function withPreset(sampling: Sampling, preset: Preset): Sampling {
  const from = presets[preset];
  return { ...sampling, ...Object.fromEntries(choiceKnobs.map((k) => [k, from[k]])) };
}

export function presetOf(sampling: Sampling): Preset | undefined {
  const names = Object.keys(presets) as Preset[];
  return names.find((name) => choiceKnobs.every((k) => presets[name][k] === sampling[k]));
}

const wireNames = {
  topP: 'top_p',
  topK: 'top_k',
  minP: 'min_p',
  repetitionPenalty: 'repetition_penalty',
  presencePenalty: 'presence_penalty',
  frequencyPenalty: 'frequency_penalty',
} as const satisfies Record<Exclude<Knob, 'temperature' | 'maxTokens'>, keyof WireOptions>;

/** Only what has an effect is sent: the server refuses settings that contradict each other. */
export function wireOptions(sampling: Sampling, seed: number): WireOptions {
  const greedy = effectiveMode(sampling).kind === 'greedy';
  const wire: WireOptions = { temperature: greedy ? 0 : sampling.temperature, max_tokens: sampling.maxTokens };
  for (const knob of Object.keys(wireNames) as (keyof typeof wireNames)[]) {
    const idle = greedy && choiceKnobs.some((choice) => choice === knob);
    if (!idle && sampling[knob] !== ranges[knob].off) wire[wireNames[knob]] = sampling[knob];
  }
  if (!greedy) wire.seed = seed;
  if (sampling.stop.length > 0) wire.stop = sampling.stop;
  return wire;
}

/** Numbers inside their ranges, the rest from `fallback`: for what was stored, and for what is typed. */
export function checkedSampling(value: unknown, fallback: Sampling): Sampling | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const given = value as Record<string, unknown>;
  const checked: Sampling = { ...fallback };
  for (const knob of Object.keys(ranges) as Knob[]) {
    const n = given[knob];
    if (typeof n === 'number' && Number.isFinite(n)) checked[knob] = clamp(knob, n);
  }
  if (isSeed(given.seed)) checked.seed = given.seed;
  if (Array.isArray(given.stop))
    checked.stop = given.stop.filter((s) => typeof s === 'string' && s !== '').slice(0, mostStops);
  return checked;
}

/** max tokens may be typed beyond its slider, up to what the model takes: the server knows how much that is. */
export function clamp(knob: Knob, n: number): number {
  const { min, max, step } = ranges[knob];
  const whole = Number.isInteger(step) ? Math.round(n) : n;
  return Math.max(min, knob === 'maxTokens' ? whole : Math.min(max, whole));
}

export const isSeed = (n: unknown): n is number =>
  typeof n === 'number' && Number.isInteger(n) && n >= 0 && n < 2 ** 32;

/** 31 bits: a whole number wherever it is read. */
export const newSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1;
