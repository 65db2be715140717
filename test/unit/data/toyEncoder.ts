// A tokenizer for tests: one id per UTF-16 unit, so that positions can be read off the text.
import type { Encoder, Example } from '../../../src/data/index.ts';

export const BOS = 1;
export const EOS = 2;

export function toyEncoder(
  options: { addBos?: boolean; eosId?: number | undefined } = {},
): Encoder & { calls: unknown[] } {
  const calls: unknown[] = [];
  return {
    calls,
    eosId: 'eosId' in options ? options.eosId : EOS,
    addBos: options.addBos ?? false,
    encode(text, call) {
      calls.push(call);
      return [...(call?.addBos ? [BOS] : []), ...Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))];
    },
  };
}

/** An example of which only the lengths matter; its first token, the line, is shared with no other line. */
export function exampleOf(length: number, line = 1, targets = length - 1): Example {
  const ids = new Int32Array(length).fill(7);
  ids[0] = 1000 + line;
  const wanted = new Int32Array(length).fill(-1);
  wanted.subarray(0, Math.max(0, Math.min(targets, length - 1))).fill(7);
  return { ids, targets: wanted, promptLength: 1, truncated: false, line };
}
