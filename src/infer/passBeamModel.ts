// Beams over an InferencePass: a key/value cache each. A beam that is continued twice has its cache copied, but only the
// rows in which the copy's target differs.
import { usageError } from '../base/index.ts';
import type { InferencePass, KvCache, ResidentAdapter } from '../runner/index.ts';
import type { BeamModel, BeamRow } from './beam.ts';
import { bestTokens } from './bestTokens.ts';

/** A cache and the tokens whose keys and values it holds. */
interface Held {
  cache: KvCache;
  ids: readonly number[];
}

/** @param capacity most tokens of prompt and answer together. */
export function passBeamModel(pass: InferencePass, capacity: number, adapter?: ResidentAdapter): BeamModel {
  let beams: Held[] = [];
  let spare: Held[] = [];
  const advance = async (held: Held, ids: readonly number[], best: number): Promise<BeamRow> => {
    held.ids = [...held.ids, ...ids];
    return bestTokens(await pass.advance(held.cache, ids, adapter), best);
  };
  return {
    vocabSize: pass.model.config.vocabSize,
    async start(promptIds, best) {
      if (promptIds.length >= capacity) {
        throw usageError(`a prompt of ${promptIds.length} tokens leaves no room for an answer in ${capacity}`);
      }
      const first: Held = { cache: pass.createCache(capacity), ids: [] };
      beams = [first];
      return advance(first, promptIds, best);
    },
    async step(parents, tokens, best) {
      const taken = new Set<number>();
      const next: (Held | undefined)[] = parents.map((parent) => {
        if (taken.has(parent)) return undefined;
        taken.add(parent);
        return beams[parent];
      });
      spare.push(...beams.filter((_, i) => !taken.has(i)));
      const before = beams;
      // From here on, every cache is in one of the two lists, so that close() finds it whatever fails.
      beams = next.filter((held) => held !== undefined);
      for (const [i, parent] of parents.entries()) {
        if (next[i]) continue;
        const target = spare.pop() ?? { cache: pass.createCache(capacity), ids: [] };
        beams.push(target);
        next[i] = target;
        await copyRows(pass, before[parent]!, target);
      }
      beams = next as Held[];
      const rows: BeamRow[] = [];
      for (const [i, held] of beams.entries()) rows.push(await advance(held, [tokens[i]!], best));
      return rows;
    },
    close() {
      for (const { cache } of [...beams, ...spare]) pass.freeCache(cache);
      beams = [];
      spare = [];
    },
  };
}

/** Makes `target` hold what `source` holds. Equal tokens at equal places have equal keys and values. */
async function copyRows(pass: InferencePass, source: Held, target: Held): Promise<void> {
  const { runtime, config } = pass.model;
  const width = config.kvHeads * config.headDim;
  let from = 0;
  while (from < target.ids.length && from < source.ids.length && target.ids[from] === source.ids[from]) from++;
  const rows = source.cache.length - from;
  const buffers = (held: Held) => [...held.cache.keys, ...held.cache.values];
  const into = buffers(target);
  if (rows > 0) {
    const copies = buffers(source).map(async (buffer, i) => {
      const offset = from * width;
      runtime.write(into[i]!, await runtime.read({ buffer, offset, shape: [rows, width] }), offset);
    });
    await Promise.all(copies);
  }
  target.ids = source.ids;
  target.cache.length = source.cache.length;
}
