// Beam search on a decode engine: a slot for each beam, one pass a token for all of them.
import { invariant } from '../base/index.ts';
import type { AdapterUse, DecodeEngine, Picked } from '../runner/index.ts';
import type { BeamModel, BeamRow } from './beam.ts';
import { promptChunk } from './passes.ts';

/** Powers of two: each number of candidates is a program of its own, and with a penalty it grows with every token. */
const rounded = (count: number) => Math.max(64, 2 ** Math.ceil(Math.log2(count)));

const rowOf = (p: Picked, best: number): BeamRow => ({
  ids: p.ids.subarray(0, best),
  logits: p.logits.subarray(0, best),
  logSumExp: p.logits[0]! + Math.log(p.mass),
});

/**
 * Copies after which slot i holds what slot parents[i] held, with slot `spare` for cycles: [from, to] in order.
 */
export function planMoves(parents: readonly number[], spare: number): [number, number][] {
  const moves: [number, number][] = [];
  const pending = new Map(parents.map((from, to) => [to, from] as const).filter(([to, from]) => to !== from));
  while (pending.size > 0) {
    const needed = new Set(pending.values());
    const free = [...pending].find(([to]) => !needed.has(to));
    if (free) {
      moves.push([free[1], free[0]]);
      pending.delete(free[0]);
      continue;
    }
    // Only cycles are left: one of their slots is put aside, and whoever wanted it finds it there.
    const [to] = [...pending.keys()] as [number];
    moves.push([to, spare]);
    for (const [t, from] of pending) if (from === to) pending.set(t, spare);
  }
  return moves;
}

/** Beams in slots 0, 1, ...; slot `beams` is used for moving. Nothing else may use the engine meanwhile. */
export function engineBeamModel(engine: DecodeEngine, beams: number, adapter: AdapterUse | undefined): BeamModel {
  invariant(engine.slots > beams, `${beams} beams need ${beams + 1} slots, there are ${engine.slots}`);
  let prompt = 0;
  let length = 0;
  const picking = (rows: number, best: number) => ({
    k: Math.min(engine.config.vocabSize, rounded(best)),
    temperatures: new Array<number>(rows).fill(1),
  });
  return {
    vocabSize: engine.config.vocabSize,
    async start(promptIds, best) {
      let picked: Picked[] = [];
      for (let from = 0; from < promptIds.length; from += promptChunk) {
        const part = promptIds.slice(from, from + promptChunk);
        const pass = { first: 0, pasts: [from], ids: [part], adapters: [adapter] };
        if (from + part.length < promptIds.length) await engine.extend(pass);
        else picked = await engine.pick({ ...pass, keep: [part.length - 1] }, picking(1, best));
      }
      prompt = promptIds.length;
      length = prompt;
      for (let beam = 1; beam < beams; beam++) engine.copyPrefix(0, beam, 0, prompt);
      return rowOf(picked[0]!, best);
    },
    async step(parents, tokens, best) {
      // Before the first step there is one beam, in every slot.
      if (length > prompt)
        for (const [from, to] of planMoves(parents, beams)) engine.copyPrefix(from, to, prompt, length);
      const picked = await engine.pick(
        {
          first: 0,
          pasts: tokens.map(() => length),
          ids: tokens.map((id) => [id]),
          adapters: tokens.map(() => adapter),
          keep: tokens.map((_, i) => i),
          narrow: true,
        },
        picking(tokens.length, best),
      );
      length++;
      return picked.map((p) => rowOf(p, best));
    },
    close() {},
  };
}
