// Tokens and money in whole numbers, so that sums are exact and do not depend on the order of the answers.
import type { TeacherRequest } from './types.ts';

/** Millionths of a millionth of the currency: a token at 1 per million costs 1e6 of them. Exact up to 9,000 in the currency. */
export type Pico = number;

export interface Price {
  /** For one token. */
  input: Pico;
  output: Pico;
}

export interface Amount {
  tokens: number;
  cost: Pico;
}

const PICO = 1e12;

export const toPico = (cost: number): Pico => Math.round(cost * PICO);
export const fromPico = (cost: Pico): number => cost / PICO;

/** @param perMillion prices of a million tokens. Rounded up beyond the sixth decimal. @param factor 0.5 for a batch. */
export function priceOf(perMillion: { input: number; output: number } | undefined, factor = 1): Price {
  // Shaved so that 0.15 * 1e6 = 150000.00000000003 is not rounded up.
  const token = (price: number) => Math.max(0, Math.ceil(price * 1e6 * factor - 1e-6));
  return { input: token(perMillion?.input ?? 0), output: token(perMillion?.output ?? 0) };
}

export const costOf = (price: Price, promptTokens: number, completionTokens: number): Pico =>
  price.input * promptTokens + price.output * completionTokens;

const bytes = (text: string) => Buffer.byteLength(text, 'utf8');

/** Tokens that a prompt has at most: no tokenizer makes more tokens than bytes; the marks around messages are a few more. */
export function promptBound({ prompt, schema }: Pick<TeacherRequest, 'prompt' | 'schema'>): number {
  const text =
    typeof prompt === 'string' ? bytes(prompt) + 16 : prompt.reduce((sum, { content }) => sum + bytes(content) + 16, 0);
  return text + 16 + (schema ? bytes(JSON.stringify(schema)) : 0);
}

/** Tokens that an answer has at most, known by its text alone. */
export const answerBound = (text: string, maxTokens: number) => Math.min(bytes(text), maxTokens);

/** The most that a request can cost. */
export function maximumOf(request: TeacherRequest, price: Price): Amount {
  const prompt = promptBound(request);
  const { maxTokens } = request.sampling;
  return { tokens: prompt + maxTokens, cost: costOf(price, prompt, maxTokens) };
}
