// A dedupe that compares nothing but whole texts.
import type { BatchDedupe } from '../dedupe/types.ts';

/** Lets everything in that is not the same text. */
export function noDedupe(): BatchDedupe {
  const texts = new Set<string>();
  const verdict = (text: string) => ({ duplicate: texts.has(text), nearest: [] });
  return {
    get size() {
      return texts.size;
    },
    add: (text) => void texts.add(text),
    check: async (text) => verdict(text),
    async admit(candidates) {
      return candidates.map((text) => {
        const one = verdict(text);
        texts.add(text);
        return one;
      });
    },
    async close() {},
  };
}
