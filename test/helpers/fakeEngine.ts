// A decode engine without a model. It keeps in each slot what was written there, as a real one keeps keys and values, and
// its logits depend on all of that: whoever reads another request's past, or one that was written over, gets another text.
import { applyAdjustments, candidatesOfRow, type GeneratorAdapter } from '../../src/infer/index.ts';
import { type LlamaConfig, loraLayout } from '../../src/models/index.ts';
import type { AdapterUse, DecodeEngine, Pass, Picked, PickOptions } from '../../src/runner/index.ts';
import { tinyVocabSize } from './tinyTokenizer.ts';

/** What was written at one place of a slot. */
interface Entry {
  id: number;
  adapter: string;
  /** Hash of all entries before it, when it was written. */
  before: number;
}

/** @param adapters for each token, what it was computed with: '' or name, scale and weights. */
export type FakeModel = (ids: readonly number[], adapters: readonly string[]) => Float32Array;

const mix = (h: number, value: number) => {
  let x = Math.imul(h ^ value, 0x9e3779b1) ^ (h >>> 15);
  x = Math.imul(x ^ (x >>> 13), 0x85ebca6b);
  return (x ^ (x >>> 16)) >>> 0;
};
const mixText = (h: number, text: string) => [...text].reduce((sum, c) => mix(sum, c.codePointAt(0)!), mix(h, 7));

/** Any token may come next; which are likely follows from all that was before. */
export const hashModel: FakeModel = (ids, adapters) => {
  const h = ids.reduce((sum, id, i) => hashWith(sum, { id, adapter: adapters[i]! }), 1);
  return Float32Array.from({ length: tinyVocabSize }, (_, id) => (6 * mix(h, id)) / 2 ** 32);
};

/** An adapter that fits; `weight` stands for all of them. */
export function fakeAdapter(weight = 1): GeneratorAdapter {
  const settings = { r: 1, alpha: 1, dropout: 0, targetModules: ['q_proj'] as const, useRslora: false };
  const layout = loraLayout(fakeConfig as LlamaConfig, settings);
  return { layout, params: new Float32Array(layout.size).fill(weight) };
}

/** What the model sees of it. */
export const fakeAdapterKey = ({ name, scale }: AdapterUse, { params }: GeneratorAdapter) =>
  JSON.stringify([name, scale, params[0]]);

const fakeConfig = {
  vocabSize: tinyVocabSize,
  layers: 2,
  hiddenSize: 8,
  intermediateSize: 12,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
};

export interface FakeEngineOptions {
  slots?: number;
  capacity?: number;
  model?: FakeModel;
  /** Before each pass; may wait, or throw as a broken engine does. */
  gate?: (pass: Pass) => Promise<void> | void;
}

export class FakeEngine {
  readonly config = fakeConfig;
  readonly slots: number;
  readonly capacity: number;
  /** Every pass in order. */
  readonly passes: Pass[] = [];
  readonly copies: [source: number, target: number, from: number, to: number][] = [];
  readonly adapters = new Map<string, GeneratorAdapter>();
  readonly candidateCounts = new Set<number>();
  gate: FakeEngineOptions['gate'];
  warmed = 0;
  private readonly model: FakeModel;
  /** Where nothing was written yet: undefined. */
  private readonly memory: (Entry | undefined)[][];
  private rows: { raw: Float32Array; adjusted: Float32Array }[] = [];
  private busy = false;

  constructor(options: FakeEngineOptions = {}) {
    this.slots = options.slots ?? 4;
    this.capacity = options.capacity ?? 64;
    this.model = options.model ?? hashModel;
    this.gate = options.gate;
    this.memory = Array.from({ length: this.slots }, () => []);
  }

  get asEngine(): DecodeEngine {
    return this as unknown as DecodeEngine;
  }

  /** Tokens that were computed, those of slots that only took part not counted. */
  get computed(): number {
    return this.passes.reduce((n, p) => n + (p.ids.length > 1 ? p.keep.length : p.ids[0]!.length), 0);
  }

  setAdapter(name: string, adapter: GeneratorAdapter | undefined): void {
    if (this.busy) throw new Error('fake engine: adapters changed during a pass');
    if (adapter) this.adapters.set(name, adapter);
    else this.adapters.delete(name);
  }

  async warm(): Promise<void> {
    this.warmed++;
  }

  private adapterKey(use: AdapterUse | undefined): string {
    if (!use) return '';
    const held = this.adapters.get(use.name);
    if (!held) throw new Error(`fake engine: no adapter ${use.name}`);
    return fakeAdapterKey(use, held);
  }

  private async run(pass: Pass): Promise<void> {
    if (this.busy) throw new Error('fake engine: two passes at once');
    this.busy = true;
    try {
      const { first, pasts, ids, adapters, keep } = pass;
      const width = ids[0]!.length;
      if (ids.length > 1 && width > 1) throw new Error('fake engine: several slots with several tokens');
      if (first < 0 || first + ids.length > this.slots) throw new Error('fake engine: no such slot');
      if (pasts.length !== ids.length || adapters.length !== ids.length) throw new Error('fake engine: lengths');
      this.passes.push(pass);
      await this.gate?.(pass);
      const rows: Float32Array[] = [];
      for (const [i, own] of ids.entries()) {
        const slot = this.memory[first + i]!;
        const adapter = this.adapterKey(adapters[i]);
        for (const [t, id] of own.entries()) {
          const at = pasts[i]! + t;
          if (at > slot.length || at >= this.capacity) throw new Error(`fake engine: ${at} of ${slot.length}`);
          if (!(id >= 0 && id < this.config.vocabSize)) throw new Error(`fake engine: token ${id}`);
          const last = slot[at - 1];
          slot[at] = { id, adapter, before: last ? hashWith(last.before, last) : 1 };
          const wanted = keep.includes(i * width + t);
          rows.push(wanted ? this.logits(slot, at) : new Float32Array());
        }
      }
      this.rows = keep.map((k) => ({ raw: rows[k]!, adjusted: rows[k]! }));
    } finally {
      this.busy = false;
    }
  }

  private logits(slot: readonly (Entry | undefined)[], last: number): Float32Array {
    let h = 1;
    const seen: Entry[] = [];
    for (let at = 0; at <= last; at++) {
      const entry = slot[at];
      if (entry?.before !== h) throw new Error(`fake engine: place ${at} was computed after another past`);
      h = hashWith(h, entry);
      seen.push(entry);
    }
    return this.model(
      seen.map((e) => e.id),
      seen.map((e) => e.adapter),
    );
  }

  async extend(pass: Omit<Pass, 'keep'>): Promise<void> {
    await this.run({ ...pass, keep: [] });
  }

  async pick(pass: Pass, { k, temperatures, changes }: PickOptions): Promise<Picked[]> {
    await this.run(pass);
    this.candidateCounts.add(k);
    if (changes) {
      this.rows = this.rows.map(({ raw }, i) => ({
        raw,
        adjusted: changes[i] ? applyAdjustments(raw, changes[i]) : raw,
      }));
    }
    return this.rows.map(({ adjusted }, i) => {
      const picked = candidates(adjusted, k, temperatures?.[i] ?? 1);
      return temperatures ? picked : { ...picked, mass: Number.NaN };
    });
  }

  row = async (i: number): Promise<Float32Array> => this.rows[i]!.adjusted;

  async raw(k: number): Promise<Picked[]> {
    return this.rows.map(({ raw }) => candidates(raw, k, 1));
  }

  copyPrefix(source: number, target: number, from: number, to: number): void {
    if (this.busy) throw new Error('fake engine: copied during a pass');
    this.copies.push([source, target, from, to]);
    const [a, b] = [this.memory[source]!, this.memory[target]!];
    if (to > a.length) throw new Error('fake engine: copied what is not there');
    for (let at = from; at < to; at++) b[at] = a[at]!;
  }
}

function candidates(row: Float32Array, k: number, temperature: number): Picked {
  const { ids, logits, mass } = candidatesOfRow(row, Math.min(k, row.length), temperature);
  return { ids: Int32Array.from(ids), logits, mass };
}

const hashWith = (h: number, { id, adapter }: Pick<Entry, 'id' | 'adapter'>) => mixText(mix(h, id + 1), adapter);
