// Row -> token ids and targets: which tokens the model is asked to predict, and which are only read.
import { HuacayaError, usageError } from '../base/index.ts';
import type { AlpacaRecord } from './record.ts';
import { type PromptTemplate, renderPrompt } from './template.ts';

/** The part of a tokenizer that data needs. */
export interface Encoder {
  encode(text: string, options?: { addBos?: boolean; special?: boolean }): number[];
  readonly eosId: number | undefined;
  /** Whether the model expects a BOS token in front. */
  readonly addBos: boolean;
}

export interface Example {
  /** Token ids of prompt, response and EOS, [n]. */
  ids: Int32Array;
  /** [n]; targets[i] = the token to predict after ids[i], -1 = no loss there. */
  targets: Int32Array;
  /** Tokens of the prompt, BOS included, at most n. */
  promptLength: number;
  /** The row was longer than the cutoff: its end, and with it the EOS, is missing. */
  truncated: boolean;
  /** Of the record. */
  line: number;
}

export interface ExampleOptions {
  /** Most tokens in an example. */
  cutoffLen: number;
  /** Also learn to predict the prompt. */
  trainOnInputs: boolean;
  addEos: boolean;
}

export const NO_TARGET = -1;

/**
 * Prompt and response are encoded apart, so that the prompt has the very tokens it will have at inference and no token
 * straddles the mask's boundary. Both are encoded with `special: false`: a row that spells a control token must not
 * inject it (so a template cannot use control tokens either).
 * @throws HuacayaError USAGE (cutoffLen), TOKENIZER_NO_EOS (addEos without an EOS).
 */
export function buildExample(
  record: AlpacaRecord,
  template: PromptTemplate,
  encoder: Encoder,
  options: ExampleOptions,
): Example {
  const { cutoffLen, trainOnInputs, addEos } = options;
  if (!Number.isInteger(cutoffLen) || cutoffLen < 2) {
    throw usageError(`the cutoff length must be a whole number of at least 2, but it is ${cutoffLen}`);
  }
  const all = encoder.encode(renderPrompt(template, record), { addBos: encoder.addBos, special: false });
  const promptTokens = all.length;
  for (const id of encoder.encode(record.output, { addBos: false, special: false })) all.push(id);
  if (addEos) {
    if (encoder.eosId === undefined) {
      throw new HuacayaError(
        'TOKENIZER_NO_EOS',
        'the tokenizer has no end-of-text token, but one is to be added to each row',
        {
          hint: 'Without it the model would not learn to stop; turn the adding off only if the data brings its own ending.',
        },
      );
    }
    all.push(encoder.eosId);
  }

  const ids = Int32Array.from(all.length > cutoffLen ? all.slice(0, cutoffLen) : all);
  const targets = new Int32Array(ids.length).fill(NO_TARGET);
  const firstTarget = trainOnInputs ? 1 : Math.max(promptTokens, 1);
  for (let i = firstTarget; i < ids.length; i++) targets[i - 1] = ids[i]!;
  return {
    ids,
    targets,
    promptLength: Math.min(promptTokens, ids.length),
    truncated: all.length > cutoffLen,
    line: record.line,
  };
}

/** Positions that have a target. */
export function countTargets(example: Example): number {
  let count = 0;
  for (const target of example.targets) if (target !== NO_TARGET) count++;
  return count;
}

export interface SkippedRow {
  line: number;
  reason: string;
}

export interface BuiltExamples {
  examples: Example[];
  /** Rows left out, because nothing could be learnt from them (their loss would be 0/0). */
  skipped: SkippedRow[];
  /** How many of `examples` were cut at the cutoff. */
  truncated: number;
}

/** Builds all rows in order; a row with an empty output or without a target is reported in `skipped`. Throws as buildExample. */
export function buildExamples(
  records: readonly AlpacaRecord[],
  template: PromptTemplate,
  encoder: Encoder,
  options: ExampleOptions,
): BuiltExamples {
  const result: BuiltExamples = { examples: [], skipped: [], truncated: 0 };
  for (const record of records) {
    if (record.output.trim() === '') {
      result.skipped.push({ line: record.line, reason: 'the output is empty' });
      continue;
    }
    const example = buildExample(record, template, encoder, options);
    if (countTargets(example) === 0) {
      const reason = example.truncated
        ? `the prompt alone fills the cutoff of ${options.cutoffLen} tokens`
        : 'the output has no tokens';
      result.skipped.push({ line: record.line, reason });
      continue;
    }
    if (example.truncated) result.truncated++;
    result.examples.push(example);
  }
  return result;
}
