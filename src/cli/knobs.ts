// The knobs of an answer, in one table: the flags of generate, compare and chat, and what /set of the chat changes.
import { readFileSync } from 'node:fs';
import { usageError } from '../base/index.ts';
import { fileError } from '../base/node.ts';
import { beamDefaults, defaultSampling, type SamplingOptions } from '../infer/index.ts';

export interface Knobs extends SamplingOptions {
  numBeams: number;
  lengthPenalty: number;
  earlyStopping: boolean | 'never';
  maxNewTokens: number;
  stop: readonly string[];
  stopTokenIds: readonly number[];
  jsonSchema: { path: string; schema: unknown } | undefined;
  logprobs: number | undefined;
  adapterScale: number;
}

export type KnobName = keyof Knobs;

export interface Knob<K extends KnobName = KnobName> {
  key: K;
  /** As in the flag, without hyphens in front. */
  name: string;
  value: string;
  help: string;
  /** @param before what was given earlier, where a flag may be repeated. @throws HuacayaError USAGE, FILE_*. */
  parse(text: string, before?: Knobs[K]): Knobs[K];
  show(value: Knobs[K]): string;
}

export const defaultKnobs: Readonly<Knobs> = {
  ...defaultSampling,
  numBeams: 1,
  lengthPenalty: beamDefaults.lengthPenalty,
  earlyStopping: beamDefaults.earlyStopping,
  maxNewTokens: 256,
  stop: [],
  stopTokenIds: [],
  jsonSchema: undefined,
  logprobs: undefined,
  adapterScale: 1,
};

/** @throws HuacayaError USAGE: Number('') and Number('0x') are traps. */
export function numberOf(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw usageError(`${JSON.stringify(text)} is not a number`);
  return value;
}

function tokenId(text: string): number {
  const id = numberOf(text);
  if (!Number.isSafeInteger(id) || id < 0) throw usageError(`${JSON.stringify(text)} is not a token id`);
  return id;
}

const listed = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);

function biases(text: string, before?: ReadonlyMap<number, number>): ReadonlyMap<number, number> {
  const map = new Map(before);
  for (const part of listed(text)) {
    const [id, bias, ...more] = part.split(':');
    if (bias === undefined || more.length > 0) throw usageError(`${JSON.stringify(part)} is not id:bias`);
    map.set(tokenId(id!), numberOf(bias));
  }
  return map;
}

function schemaFile(path: string): Knobs['jsonSchema'] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw fileError(path, cause);
  }
  try {
    return { path, schema: JSON.parse(text) };
  } catch (cause) {
    throw usageError(`${path}: is not JSON: ${(cause as Error).message}`);
  }
}

function stopping(text: string): Knobs['earlyStopping'] {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'never') return 'never';
  throw usageError(`${JSON.stringify(text)} is not true, false or never`);
}

const numeric = <K extends KnobName>(key: K, name: string, value: string, help: string) =>
  ({ key, name, value, help, parse: numberOf, show: String }) as unknown as Knob<K>;
/** Keeps what `parse` and `show` take apart of the key. */
const knob = <K extends KnobName>(k: Knob<K>) => k as unknown as Knob;

export const knobs: readonly Knob[] = [
  numeric('temperature', 'temperature', '<t>', '0 is greedy: always the most probable token (default: 0)'),
  numeric('topP', 'top-p', '<p>', 'sample from the most probable tokens up to this share (default: 1)'),
  numeric('topK', 'top-k', '<k>', 'sample from so many tokens; 0: all (default: 0)'),
  numeric('minP', 'min-p', '<p>', 'sample from tokens with this share of the most probable one (default: 0)'),
  numeric('repetitionPenalty', 'repetition-penalty', '<x>', 'above 1: tokens that were there come less (default: 1)'),
  numeric('presencePenalty', 'presence-penalty', '<x>', 'taken from logits of tokens of the answer (default: 0)'),
  numeric('frequencyPenalty', 'frequency-penalty', '<x>', 'the same, for each time they came (default: 0)'),
  knob<'logitBias'>({
    key: 'logitBias',
    name: 'logit-bias',
    value: '<id:bias>',
    help: 'added to the logit of a token, e.g. 42:-100 to forbid it; several: repeat it, or 42:-100,7:5',
    parse: biases,
    show: (map) => [...map].map(([id, bias]) => `${id}:${bias}`).join(',') || 'none',
  }),
  numeric('seed', 'seed', '<n>', 'seed of the sampling (default: 0)'),
  numeric('numBeams', 'num-beams', '<n>', 'beam search with so many beams; 1: none (default: 1)'),
  numeric('lengthPenalty', 'length-penalty', '<x>', 'beams: above 0 favours long answers (default: 1)'),
  knob<'earlyStopping'>({
    key: 'earlyStopping',
    name: 'early-stopping',
    value: '<when>',
    help: 'beams: true, false or never, as in transformers (default: false)',
    parse: stopping,
    show: String,
  }),
  numeric('maxNewTokens', 'max-new-tokens', '<n>', 'longest answer in tokens (default: 256)'),
  knob<'stop'>({
    key: 'stop',
    name: 'stop',
    value: '<text>',
    help: 'text at which an answer ends; several: repeat it',
    parse: (text, before = []) => [...before, text],
    show: (stops) => stops.map((s) => JSON.stringify(s)).join(' ') || 'none',
  }),
  knob<'stopTokenIds'>({
    key: 'stopTokenIds',
    name: 'stop-token-ids',
    value: '<ids>',
    help: 'tokens at which an answer ends, e.g. 13,198',
    parse: (text, before = []) => [...before, ...listed(text).map(tokenId)],
    show: (ids) => ids.join(',') || 'none',
  }),
  knob<'jsonSchema'>({
    key: 'jsonSchema',
    name: 'json-schema',
    value: '<file>',
    help: 'the answer is JSON of this schema',
    parse: schemaFile,
    show: (v) => v?.path ?? 'none',
  }),
  knob<'logprobs'>({
    key: 'logprobs',
    name: 'logprobs',
    value: '<n>',
    help: 'show the log-probability of each token, and of the n most probable ones (0 to 20)',
    parse: numberOf,
    show: (v) => (v === undefined ? 'none' : String(v)),
  }),
  numeric('adapterScale', 'adapter-scale', '<x>', 'factor on what the adapter adds; 0: nothing (default: 1)'),
] as readonly unknown[] as readonly Knob[];

/** By `top-p`, `top_p` or `topP`. */
export function findKnob(name: string): Knob | undefined {
  const wanted = name.replaceAll('_', '-').toLowerCase();
  return knobs.find((k) => k.name === wanted || k.key.toLowerCase() === wanted);
}
