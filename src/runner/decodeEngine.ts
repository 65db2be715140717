// A model ready to generate: sequences in slots, each with its keys and values; a pass takes new tokens of one slot, or one
// token of each of several, and hands out the most probable next tokens.
import { createBreather, HuacayaError } from '../base/index.ts';
import {
  type CompiledProgram,
  type ConstantFile,
  type DeviceBuffer,
  type PreparedBindings,
  type Runtime,
  type View,
  view,
} from '../engine/index.ts';
import { type Adapter, type LlamaConfig, localRope, ropeTables } from '../models/index.ts';
import { hadamard, nBitsBlock } from '../quant/index.ts';
import { type AdapterStack, type AdapterUse, stackAdapters } from './adapterStack.ts';
import {
  type BodyKind,
  bestCount,
  bodyProgram,
  type Group,
  groupShape,
  type HasMeans,
  type KvPrecision,
} from './decodeBody.ts';
import { betterScales, firstScale } from './kvScales.ts';
import { adjustProgram, pickProgram } from './pickPrograms.ts';
import { Workspace } from './workspace.ts';

/** Where the parts of a body come from: constants in files, or buffers on the device. */
export interface BodySource {
  kind: BodyKind;
  constants: ConstantFile | undefined;
  views: Readonly<Record<string, View>>;
  /** See `bodyProgram`. */
  paired?: boolean;
}

export interface DecodeEngineOptions {
  runtime: Runtime;
  config: LlamaConfig;
  ropeFactors: Float32Array | undefined;
  slots: number;
  /** Most tokens of a slot. */
  capacity: number;
  /** For few rows at a time. */
  narrow: BodySource;
  /** For many; may be the same. */
  wide: BodySource;
  /** From how many rows on the wide body is faster. */
  wideFrom: number;
  /** int8: a quarter of the memory, and prompts take longer. Before anything else `findScales` has to be called. */
  kv?: KvPrecision;
}

/** One pass. Slots `first`, `first + 1`, ... take part, each with the same number of new tokens; several only with one each. */
export interface Pass {
  first: number;
  /** For each slot: tokens that it holds already. */
  pasts: readonly number[];
  /** For each slot: the new ones. */
  ids: readonly (readonly number[])[];
  adapters: readonly (AdapterUse | undefined)[];
  /** Rows, counted through slots and tokens, after which logits are wanted. */
  keep: readonly number[];
  /** Whatever the number of rows: the body that single tokens go through, so that the same numbers come out. */
  narrow?: boolean;
}

/** Changes to the logits of a row; see `adjustLogits`. */
export interface RowChanges {
  ids: Int32Array;
  repetition: Float32Array;
  add: Float32Array;
}

export interface PickOptions {
  /** Candidates of each row. */
  k: number;
  /** For each row; absent: `mass` is not computed. */
  temperatures?: readonly number[];
  /** For each row. */
  changes?: readonly (RowChanges | undefined)[];
}

/** Of one row: falling logits, their ids, and the sum of exp((logit - largest) / temperature). */
export interface Picked {
  logits: Float32Array;
  ids: Int32Array;
  /** NaN where it was not asked for. */
  mass: number;
}

const longest = Math.max;

/** Bindings that are kept at a time: a set for each range of slots that passes ran on. */
const mostBindings = 128;

/** A matrix has columns for means where it has more blocks than its inputs fill. */
function meansIn(c: LlamaConfig, constants: ConstantFile | undefined): HasMeans {
  return (name) => {
    const group = name.split('.')[1] as Group | undefined;
    const { out, in: width } = group ? groupShape(c, group) : { out: c.vocabSize, in: c.hiddenSize };
    return (constants?.parts[`${name}.scales`]?.length ?? 0) / 4 > (out * width) / nBitsBlock;
  };
}

export class DecodeEngine {
  readonly config: LlamaConfig;
  readonly slots: number;
  readonly capacity: number;
  readonly runtime: Runtime;
  private readonly o: DecodeEngineOptions;
  private readonly workspace: Workspace;
  private readonly keys: readonly DeviceBuffer[];
  private readonly values: readonly DeviceBuffer[];
  private readonly rope: Record<string, View>;
  /** Of keys and values in 8 bits, by name of the input. */
  private readonly scales: Record<string, View> = {};
  private readonly programs = new Map<string, Promise<CompiledProgram>>();
  private readonly adapters = new Map<string, Pick<Adapter, 'layout' | 'params'>>();
  private readonly rotations = new Map<number, View>();
  /** What passes of the same kind on the same slots share. */
  private readonly bindings = new Map<string, PreparedBindings>();
  private stack: AdapterStack | undefined;
  /** The bodies that are compiled, by key. */
  private readonly ready = new Set<string>();

  constructor(options: DecodeEngineOptions) {
    const { runtime, config: c, slots, capacity } = options;
    this.o = options;
    this.runtime = runtime;
    this.config = c;
    this.slots = slots;
    this.capacity = capacity;
    this.workspace = new Workspace(runtime);
    const dtype = options.kv === 'int8' ? 'int8' : 'float32';
    const cache = () =>
      Array.from({ length: c.layers }, () => runtime.alloc(dtype, slots * c.kvHeads * capacity * c.headDim));
    this.keys = cache();
    this.values = cache();
    if (options.kv === 'int8') {
      const columns = c.kvHeads * c.headDim;
      for (let layer = 0; layer < c.layers; layer++) {
        for (const name of ['k', 'v']) {
          const first = new Float32Array(columns).fill(firstScale);
          this.scales[`${layer}.${name}Scale`] = view(runtime.upload(first), [columns]);
        }
      }
    }
    const tables = ropeTables(c, capacity, options.ropeFactors);
    const half = [capacity, c.headDim / 2];
    this.rope = { cos: view(runtime.upload(tables.cos), half), sin: view(runtime.upload(tables.sin), half) };
    const local = localRope(c);
    if (local) {
      const own = ropeTables(local, capacity);
      this.rope['local.cos'] = view(runtime.upload(own.cos), half);
      this.rope['local.sin'] = view(runtime.upload(own.sin), half);
    }
  }

  private compiled(key: string, make: () => Promise<CompiledProgram>): Promise<CompiledProgram> {
    let made = this.programs.get(key);
    if (!made) {
      made = make();
      this.programs.set(key, made);
      made.then(
        () => this.ready.add(key),
        () => this.programs.delete(key),
      );
    }
    return made;
  }

  private bodyKey(source: BodySource): string {
    return [source.kind, ...(this.stack?.groups ?? [])].join('.');
  }

  private body(source: BodySource): Promise<CompiledProgram> {
    const groups: ReadonlySet<Group> = this.stack?.groups ?? new Set();
    return this.compiled(this.bodyKey(source), async () =>
      this.runtime.compile(
        bodyProgram(this.config, source.kind, groups, {
          hasMeans: meansIn(this.config, source.constants),
          paired: !!source.paired,
          kv: this.o.kv ?? 'fp32',
        }),
        source.constants,
      ),
    );
  }

  private choose(rows: number): BodySource {
    const { narrow, wide, wideFrom } = this.o;
    if (rows < wideFrom) return narrow;
    // The first answer should not wait for a program that only makes longer prompts faster.
    const isReady = (source: BodySource) => this.ready.has(this.bodyKey(source));
    return rows < 16 * wideFrom && !isReady(narrow) && !isReady(wide) ? narrow : wide;
  }

  /** Makes ready what later passes would otherwise have to wait for. */
  async warm(): Promise<void> {
    await this.body(this.o.narrow);
    await this.body(this.o.wide);
  }

  /** Adds, replaces or removes one; between passes only. That its shapes fit the model is the caller's to check. */
  setAdapter(name: string, adapter: Pick<Adapter, 'layout' | 'params'> | undefined): void {
    if (adapter) this.adapters.set(name, adapter);
    else this.adapters.delete(name);
    const before = this.stack;
    this.stack = this.adapters.size > 0 ? stackAdapters(this.runtime, this.config, this.adapters) : undefined;
    before?.free();
    this.dropBindings();
    // A body without the new groups holds another copy of all weights.
    const wanted = new Set([this.bodyKey(this.o.narrow), this.bodyKey(this.o.wide)]);
    for (const [key, program] of this.programs) {
      if (wanted.has(key) || key.startsWith('pick') || key === 'adjust') continue;
      this.programs.delete(key);
      this.ready.delete(key);
      program.then((p) => this.runtime.release(p)).catch(() => {});
    }
  }

  private rotation(block: number): View {
    const made = this.rotations.get(block) ?? view(this.runtime.upload(hadamard(block)), [block, block]);
    this.rotations.set(block, made);
    return made;
  }

  private cacheView(buffer: DeviceBuffer, first: number, count: number): View {
    const { kvHeads, headDim } = this.config;
    const slot = kvHeads * this.capacity * headDim;
    return view(buffer, [count, kvHeads, this.capacity, headDim], first * slot);
  }

  /** Weights, adapters, rotary tables, and the keys and values of some slots: all that does not change from pass to pass. */
  private bound(source: BodySource, program: CompiledProgram, first: number, batch: number): PreparedBindings {
    const key = `${source.kind} ${first} ${batch}`;
    const held = this.bindings.get(key);
    if (held) return held;
    const feeds: Record<string, View> = {
      ...source.views,
      ...this.rope,
      ...this.scales,
      ...(this.stack?.views ?? {}),
    };
    const fetches: Record<string, View> = {};
    for (const name of program.inputs) {
      const block = /^rotation(\d+)$/.exec(name);
      if (block) feeds[name] = this.rotation(Number(block[1]));
    }
    for (let layer = 0; layer < this.config.layers; layer++) {
      for (const [name, buffers] of [['k', this.keys] as const, ['v', this.values] as const]) {
        const v = this.cacheView(buffers[layer]!, first, batch);
        feeds[`${name}${layer}`] = v;
        fetches[`${name}${layer}.new`] = v;
      }
    }
    const known = new Set(program.inputs);
    const made = this.runtime.prepare(
      Object.fromEntries(Object.entries(feeds).filter(([name]) => known.has(name))),
      fetches,
    );
    if (this.bindings.size >= mostBindings) this.dropBindings();
    this.bindings.set(key, made);
    return made;
  }

  private dropBindings(): void {
    for (const p of this.bindings.values()) this.runtime.drop(p);
    this.bindings.clear();
  }

  /** Runs the body. @throws HuacayaError TOKEN_RANGE. */
  private async run(pass: Pass): Promise<{ logits: View; best: View }> {
    const { runtime, workspace, config: c } = this;
    const batch = pass.ids.length;
    const tokens = pass.ids[0]!.length;
    const flat = pass.ids.flat();
    const beyond = flat.find((id) => !(Number.isInteger(id) && id >= 0 && id < c.vocabSize));
    if (beyond !== undefined) {
      throw new HuacayaError('TOKEN_RANGE', `the prompt has the token id ${beyond}, the model knows ${c.vocabSize}`, {
        hint: 'The tokenizer and the weights belong to different models.',
      });
    }
    if (batch > 1 && tokens > 1) throw new Error('internal: several slots with several tokens each');
    const lastKeys = pass.pasts.map((past) => past + tokens - 1);
    if (lastKeys.some((k) => k >= this.capacity))
      throw new Error(`internal: key ${longest(...lastKeys)} of ${this.capacity}`);
    const source = pass.narrow ? this.o.narrow : this.choose(flat.length);
    const program = await this.body(source);
    const write = (name: string, shape: readonly number[], data: BigInt64Array | Int32Array | Float32Array) => {
      const dtype = data instanceof BigInt64Array ? 'int64' : data instanceof Int32Array ? 'int32' : 'float32';
      const v = workspace.get(`in.${name}`, shape, dtype);
      runtime.write(v.buffer, data);
      return v;
    };
    const big = (numbers: readonly number[]) => BigInt64Array.from(numbers, BigInt);
    const feeds: Record<string, View> = {
      ids: write('ids', [batch, tokens], big(flat)),
      lastKey: write('lastKey', [batch], Int32Array.from(lastKeys)),
      total: write('total', [], Int32Array.of(longest(...lastKeys) + 1)),
      keep: write('keep', [pass.keep.length], big(pass.keep)),
    };
    for (const [group, { rank, data }] of this.stack?.mix(pass.adapters) ?? []) {
      feeds[`mix.${group}`] = write(`mix.${group}`, [batch, 1, rank], data);
    }
    const rows = pass.keep.length;
    const made = {
      logits: workspace.get('logits', [rows, c.vocabSize]),
      best: workspace.get('best', [rows, 2 * bestCount(c)]),
    };
    runtime.run(program, feeds, made, this.bound(source, program, pass.first, batch));
    return made;
  }

  /** Takes tokens in without looking at what would come next. */
  async extend(pass: Omit<Pass, 'keep'>): Promise<void> {
    await this.run({ ...pass, keep: [0] });
  }

  /** One pass and the candidates after each row of `keep`. They are followed by `row` and `raw` until the next pass. */
  async pick(pass: Pass, options: PickOptions): Promise<Picked[]> {
    const { logits, best } = await this.run(pass);
    this.last = { raw: logits, adjusted: logits };
    const { k, temperatures, changes } = options;
    if (changes?.some((c) => c)) this.last.adjusted = await this.adjust(logits, changes);
    else if (!temperatures && k <= bestCount(this.config)) return this.read(best, false);
    return this.candidates(this.last.adjusted, k, temperatures);
  }

  private last: { raw: View; adjusted: View } | undefined;

  private rowOf(v: View, i: number): View {
    return view(v.buffer, [this.config.vocabSize], v.offset + i * this.config.vocabSize);
  }

  /** A whole row of the last pass, after changes. [vocab] */
  row = async (i: number): Promise<Float32Array> =>
    (await this.runtime.read(this.rowOf(this.last!.adjusted, i))) as Float32Array;

  /** Candidates of the last pass before changes, at temperature 1, for each row. */
  raw(k: number): Promise<Picked[]> {
    const { raw } = this.last!;
    return this.candidates(raw, k, new Array(raw.shape[0]!).fill(1));
  }

  private async candidates(logits: View, k: number, temperatures?: readonly number[]): Promise<Picked[]> {
    const { runtime, workspace } = this;
    const vocab = this.config.vocabSize;
    const rows = logits.shape[0]!;
    const count = Math.min(k, vocab);
    const program = await this.compiled(`pick.${count}.${!!temperatures}`, () =>
      runtime.compile(pickProgram(vocab, count, !!temperatures)),
    );
    const width = 2 * count + (temperatures ? 1 : 0);
    const best = workspace.get('picked', [rows, width]);
    const feeds: Record<string, View> = { logits };
    if (temperatures) {
      const inverse = workspace.get('in.inverse', [rows, 1]);
      runtime.write(
        inverse.buffer,
        Float32Array.from(temperatures, (t) => 1 / (t || 1)),
      );
      feeds.inverse = inverse;
    }
    runtime.run(program, feeds, { best });
    return this.read(best, !!temperatures);
  }

  /** Rows of logits, ids and perhaps ln of the mass. */
  private async read(best: View, withMass: boolean): Promise<Picked[]> {
    const data = (await this.runtime.read(best)) as Float32Array;
    const [rows, width] = best.shape as [number, number];
    const count = (width - (withMass ? 1 : 0)) / 2;
    return Array.from({ length: rows }, (_, i) => {
      const row = data.subarray(i * width, (i + 1) * width);
      return {
        logits: row.slice(0, count),
        ids: Int32Array.from(row.subarray(count, 2 * count)),
        mass: withMass ? Math.exp(row[2 * count]!) : Number.NaN,
      };
    });
  }

  private async adjust(logits: View, changes: readonly (RowChanges | undefined)[]): Promise<View> {
    const { runtime, workspace, config: c } = this;
    const rows = changes.length;
    const most = longest(...changes.map((l) => l?.ids.length ?? 0));
    const ids = new BigInt64Array(rows * most);
    const repetition = new Float32Array(rows * most).fill(1);
    const more = new Float32Array(rows * most);
    for (const [row, list] of changes.entries()) {
      const first = list ? list.ids.findIndex((id) => id < c.vocabSize) : -1;
      // A row without changes keeps its zeros, which change nothing.
      for (let i = 0; list && first >= 0 && i < most; i++) {
        // What is left of a row, or is no token of this model, says the first change again.
        const from = i < list.ids.length && list.ids[i]! < c.vocabSize ? i : first;
        const at = row * most + i;
        ids[at] = BigInt(list.ids[from]!);
        repetition[at] = list.repetition[from]!;
        more[at] = list.add[from]!;
      }
    }
    const program = await this.compiled('adjust', () => runtime.compile(adjustProgram(c.vocabSize)));
    const put = (name: string, data: BigInt64Array | Float32Array, dtype: 'int64' | 'float32') => {
      const v = workspace.get(`in.${name}`, [rows, most], dtype);
      runtime.write(v.buffer, data);
      return v;
    };
    const adjusted = workspace.get('adjusted', logits.shape);
    const feeds = {
      logits,
      ids: put('change.ids', ids, 'int64'),
      repetition: put('change.repetition', repetition, 'float32'),
      more: put('change.more', more, 'float32'),
    };
    runtime.run(program, feeds, { adjusted });
    return adjusted;
  }

  /**
   * Finds the scales of keys and values in 8 bits: three looks at a text, in slot 0. Whatever any slot held is lost.
   * @param ids ordinary text; its first 64 tokens that fit.
   */
  async findScales(ids: readonly number[]): Promise<void> {
    const { kvHeads, headDim, layers } = this.config;
    const text = ids.slice(0, Math.min(64, this.capacity));
    const read = async (v: View) => (await this.runtime.read(v)) as Int8Array & Float32Array;
    for (let look = 0; look < 3; look++) {
      await this.extend({ first: 0, pasts: [0], ids: [text], adapters: [], narrow: true });
      for (let layer = 0; layer < layers; layer++) {
        for (const [name, buffers] of [['k', this.keys] as const, ['v', this.values] as const]) {
          const codes = new Int8Array(kvHeads * text.length * headDim);
          for (let head = 0; head < kvHeads; head++) {
            const rows = view(buffers[layer]!, [text.length, headDim], head * this.capacity * headDim);
            codes.set(await read(rows), head * text.length * headDim);
          }
          const scales = this.scales[`${layer}.${name}Scale`]!;
          const better = betterScales(codes, await read(scales), { headDim, pairs: name === 'k' });
          this.runtime.write(scales.buffer, better);
        }
      }
    }
  }

  /** Keys and values of tokens [from, to) of one slot to the same places of another. */
  copyPrefix(source: number, target: number, from: number, to: number): void {
    if (to <= from) return;
    const { kvHeads, headDim } = this.config;
    for (const buffer of [...this.keys, ...this.values]) {
      for (let head = 0; head < kvHeads; head++) {
        const part = (slot: number) =>
          view(buffer, [to - from, headDim], ((slot * kvHeads + head) * this.capacity + from) * headDim);
        this.runtime.copy(part(source), part(target));
      }
    }
  }

  /**
   * Log-probabilities of ids[1], ids[2], ... each after those before it, in slot 0. Whatever it held is lost.
   * @throws HuacayaError TOKEN_RANGE.
   */
  async score(ids: readonly number[], adapter?: AdapterUse): Promise<Float32Array> {
    const made = new Float32Array(ids.length - 1);
    const breathe = createBreather();
    const chunk = 128;
    for (let from = 0; from < ids.length - 1; from += chunk) {
      const part = ids.slice(from, Math.min(from + chunk, ids.length - 1));
      const { logits } = await this.run({
        first: 0,
        pasts: [from],
        ids: [part],
        adapters: [adapter],
        keep: part.map((_, i) => i),
      });
      for (let i = 0; i < part.length; i++) {
        const row = (await this.runtime.read(this.rowOf(logits, i))) as Float32Array;
        let top = Number.NEGATIVE_INFINITY;
        for (const x of row) if (x > top) top = x;
        let sum = 0;
        for (const x of row) sum += Math.exp(x - top);
        made[from + i] = row[ids[from + i + 1]!]! - top - Math.log(sum);
        await breathe();
      }
    }
    return made;
  }
}
