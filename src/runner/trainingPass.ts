// One forward and backward pass over a pack of sequences: loss, and the gradient of every adapter tensor.
// Nothing is computed below the first adapter, and nothing is recomputed: what the backward needs is kept.
import { createBreather, type Rng } from '../base/index.ts';
import {
  type Bindings,
  type CompiledProgram,
  type DeviceBuffer,
  elementCount,
  type View,
  view,
} from '../engine/index.ts';
import { program, resolveShape } from '../graph/index.ts';
import { type LoraLayout, type SiteName, siteNames } from '../models/index.ts';
import { type AdapterImage, adapterImage } from './adapterImage.ts';
import { dropoutMask } from './dropoutMask.ts';
import { causalIndices, type PackInput, packInput, type TokenSequence } from './packInput.ts';
import {
  adapterInputs,
  attentionInputOutputs,
  attentionOutputOutputs,
  attentionOutputs,
  type CompiledPair,
  compilePair,
  compileShared,
  lossOutputs,
  type SiteRanks,
} from './programs.ts';
import type { ResidentModel } from './residentModel.ts';
import { rows, Workspace } from './workspace.ts';

/** Target rows whose logits exist at the same time: rows * vocab * 4 bytes, three times over. */
const headChunk = 256;

interface LayerPrograms {
  /** x to q, k, v. */
  before: CompiledPair;
  attention: CompiledPair;
  /** x, o to y. */
  after: CompiledPair;
}

export interface PassResult {
  /** Sum over all targets of weight * negative log likelihood, in nats. */
  loss: number;
  /** Gradient of `loss` for the adapter's flat vector. */
  gradients: Float32Array;
}

export class TrainingPass {
  readonly image: AdapterImage;
  private readonly model: ResidentModel;
  private readonly workspace: Workspace;
  private readonly parameters: DeviceBuffer;
  private readonly gradients: DeviceBuffer;
  private readonly dropout: number;
  private programs!: {
    shared: Awaited<ReturnType<typeof compileShared>>;
    /** All layers but the first; the first, which hands no gradient down; any layer in evaluation. */
    upper: LayerPrograms;
    first: LayerPrograms;
    plain: LayerPrograms;
    loss: CompiledProgram;
    lossOnly: CompiledProgram;
  };

  private constructor(model: ResidentModel, layout: LoraLayout) {
    this.model = model;
    this.image = adapterImage(model.config, model.basis, layout, model.foldedNorms);
    this.workspace = new Workspace(model.runtime);
    this.parameters = model.runtime.alloc('float32', this.image.size);
    this.gradients = model.runtime.alloc('float32', this.image.size);
    this.dropout = layout.config.dropout;
  }

  static async create(model: ResidentModel, layout: LoraLayout): Promise<TrainingPass> {
    const pass = new TrainingPass(model, layout);
    await pass.compile();
    return pass;
  }

  private async compile(): Promise<void> {
    const { runtime, config: c, basis } = this.model;
    const ranks = this.ranks();
    const options = { ranks, training: true, ...(this.dropout > 0 ? { dropout: true } : {}) };
    const outputs = {
      before: attentionInputOutputs(c, basis, options),
      attention: attentionOutputs(c),
      after: attentionOutputOutputs(c, basis, options),
    };
    const afterAdapters = adapterInputs(ranks, ['o', 'gateUp', 'down']);
    const beforeAdapters = adapterInputs(ranks, ['qkv']);
    const attention = await compilePair(runtime, 'attention', outputs.attention, ['q', 'k', 'v']);
    const upper: LayerPrograms = {
      before: await compilePair(runtime, 'before', outputs.before, ['x', ...beforeAdapters], 'x'),
      attention,
      after: await compilePair(runtime, 'after', outputs.after, ['x', 'o', ...afterAdapters]),
    };
    // Without an adapter on q, k, v nothing in the first layer lies before its `after` part.
    const deep = ranks.qkv > 0;
    const first: LayerPrograms = {
      before: await compilePair(runtime, 'before.first', outputs.before, beforeAdapters),
      attention,
      after: await compilePair(runtime, 'after.first', outputs.after, [...(deep ? ['o'] : []), ...afterAdapters]),
    };
    const forwardOnly = async (pair: CompiledPair, name: string, values: typeof outputs.before) => {
      return pair.saved.size === 0 ? pair : compilePair(runtime, name, values, []);
    };
    const evaluation = { ranks, training: true };
    const plain: LayerPrograms = {
      before: await forwardOnly(upper.before, 'before.plain', attentionInputOutputs(c, basis, evaluation)),
      attention: await forwardOnly(attention, 'attention.plain', outputs.attention),
      after: await forwardOnly(upper.after, 'after.plain', attentionOutputOutputs(c, basis, evaluation)),
    };
    this.programs = {
      shared: await compileShared(runtime, c),
      upper,
      first,
      plain,
      loss: await runtime.compile(program('loss', lossOutputs(c, basis, true))),
      lossOnly: await runtime.compile(program('lossOnly', lossOutputs(c, basis, false))),
    };
  }

  /** The same in every layer: an adapter covers all of them. */
  private ranks(): SiteRanks {
    return Object.fromEntries(siteNames.map((s) => [s, this.image.at(0, s)?.rank ?? 0])) as unknown as SiteRanks;
  }

  /** Sends the adapter's tensors to the device. Call after every change. */
  async setParameters(params: Float32Array): Promise<void> {
    this.model.runtime.write(this.parameters, await this.image.fromParameters(params));
  }

  /** Device memory of activations and gradients, in bytes. */
  get workspaceBytes(): number {
    return this.workspace.bytes + 8 * this.image.size;
  }

  /**
   * @param weight factor on every target's loss, e.g. 1 / (targets of the whole optimiser step).
   * @param rng draws the dropout masks; without it nothing is dropped.
   */
  async run(sequences: readonly TokenSequence[], weight: number, rng?: Rng): Promise<PassResult> {
    const pack = packInput(this.model, this.workspace, sequences);
    const masks = rng && this.dropout > 0 ? rng : undefined;
    const x = await this.forward(pack, true, masks);
    const { losses, dx } = this.head(pack, x, weight, true);
    await this.backward(pack, dx!);
    const { runtime } = this.model;
    const [parts, image] = await Promise.all([
      runtime.read(losses) as Promise<Float32Array>,
      runtime.read(view(this.gradients, [this.image.size])) as Promise<Float32Array>,
    ]);
    return { loss: parts.reduce((a, b) => a + b, 0), gradients: await this.image.toGradients(image) };
  }

  /** Sum of the negative log likelihood of all targets, nothing dropped, no gradient. */
  async evaluate(sequences: readonly TokenSequence[]): Promise<number> {
    const pack = packInput(this.model, this.workspace, sequences);
    const x = await this.forward(pack, false);
    const { losses } = this.head(pack, x, 1, false);
    const parts = (await this.model.runtime.read(losses)) as Float32Array;
    return parts.reduce((a, b) => a + b, 0);
  }

  private layerPrograms(layer: number, training: boolean): LayerPrograms {
    if (!training) return this.programs.plain;
    return layer === 0 ? this.programs.first : this.programs.upper;
  }

  /** What a layer's programs take besides activations: weights, rotations, rotary tables, adapter, masks. */
  private constants(layer: number, pack: PackInput): Bindings {
    const bound: Record<string, View> = { ...this.model.shared, ...this.model.layers[layer]! };
    bound.positions = pack.positions;
    for (const site of siteNames) {
      const s = this.image.at(layer, site);
      if (!s) continue;
      bound[`${site}.A`] = view(this.parameters, [s.rank, s.shape.in], s.aOffset);
      bound[`${site}.B`] = view(this.parameters, [s.shape.out, s.rank], s.bOffset);
      if (this.dropout > 0) bound[`${site}.mask`] = this.mask(layer, site, pack.tokens, s.shape.in);
    }
    return bound;
  }

  private mask(layer: number, site: SiteName, tokens: number, width: number): View {
    return this.workspace.get(`${layer}.${site}.mask`, [tokens, width]);
  }

  private drawMasks(layer: number, pack: PackInput, rng: Rng | undefined): void {
    if (this.dropout === 0) return;
    for (const site of siteNames) {
      const s = this.image.at(layer, site);
      if (!s) continue;
      const target = this.mask(layer, site, pack.tokens, s.shape.in);
      this.model.runtime.write(target.buffer, dropoutMask(elementCount(target.shape), rng ? this.dropout : 0, rng));
    }
  }

  private savedViews(pair: CompiledPair, prefix: string, sizes: Record<string, number>): Record<string, View> {
    const views: Record<string, View> = {};
    for (const [name, shape] of pair.saved) views[name] = this.workspace.get(prefix + name, resolveShape(shape, sizes));
    return views;
  }

  /** Saved values of attention differ in size from sequence to sequence: they lie one after the other. */
  private attentionSaved(pair: CompiledPair, layer: number, pack: PackInput): Record<string, View>[] {
    const perSegment: Record<string, View>[] = pack.segments.map(() => ({}));
    for (const [name, shape] of pair.saved) {
      const shapes = pack.segments.map((s) => resolveShape(shape, { queries: s.length, keys: s.length }));
      const total = shapes.reduce((n, s) => n + elementCount(s), 0);
      const { buffer } = this.workspace.get(`${layer}.attention.${name}`, [total]);
      let offset = 0;
      shapes.forEach((s, i) => {
        perSegment[i]![name] = view(buffer, s, offset);
        offset += elementCount(s);
      });
    }
    return perSegment;
  }

  /** Activations of a layer. In evaluation, where nothing is kept, two sets of buffers take turns. */
  private activation(name: string, layer: number, width: number, pack: PackInput, kept: boolean): View {
    return this.workspace.get(`${kept ? layer : `turn${layer % 2}`}.${name}`, [pack.tokens, width]);
  }

  private async forward(pack: PackInput, training: boolean, rng?: Rng): Promise<View> {
    const { runtime, config: c, embedding } = this.model;
    const breathe = createBreather();
    const query = c.heads * c.headDim;
    const key = c.kvHeads * c.headDim;
    let x = this.activation('x', 0, c.hiddenSize, pack, training);
    runtime.run(this.programs.shared.gather, { table: embedding, index: pack.ids }, { rows: x });
    for (let layer = 0; layer < c.layers; layer++) {
      const programs = this.layerPrograms(layer, training);
      if (training) this.drawMasks(layer, pack, rng);
      const constants = this.constants(layer, pack);
      const act = (name: string, width: number) => this.activation(name, layer, width, pack, training);
      const [q, k, v, o] = [act('q', query), act('k', key), act('v', key), act('o', query)];
      const saved = training ? this.savedViews(programs.before, `${layer}.before.`, { tokens: pack.tokens }) : {};
      runtime.run(programs.before.forward, { ...constants, x }, { q, k, v, ...saved });

      const attentionSaved = training ? this.attentionSaved(programs.attention, layer, pack) : [];
      pack.segments.forEach(({ start, length }, i) => {
        const feeds = {
          q: rows(q, start, length),
          k: rows(k, start, length),
          v: rows(v, start, length),
          ...causalIndices(this.model, length),
        };
        runtime.run(programs.attention.forward, feeds, { o: rows(o, start, length), ...attentionSaved[i] });
      });

      const y = this.activation('x', layer + 1, c.hiddenSize, pack, training);
      const after = training ? this.savedViews(programs.after, `${layer}.after.`, { tokens: pack.tokens }) : {};
      runtime.run(programs.after.forward, { ...constants, x, o }, { y, ...after });
      x = y;
      await breathe();
    }
    return x;
  }

  /** Loss of the target rows in chunks; in training also the gradient of the last layer's output. */
  private head(pack: PackInput, x: View, weight: number, training: boolean): { losses: View; dx?: View } {
    const { runtime, config: c, head } = this.model;
    const chunks = Math.ceil(pack.targets / headChunk);
    const losses = this.workspace.get('losses', [chunks]);
    const weights = this.workspace.get('weights', [pack.targets, 1]);
    runtime.write(weights.buffer, new Float32Array(pack.targets).fill(weight));
    const targets = this.workspace.get('targetX', [pack.targets, c.hiddenSize]);
    const gradient = this.workspace.get('targetGrad', [pack.targets, c.hiddenSize]);
    runtime.run(this.programs.shared.gather, { table: x, index: pack.targetRows }, { rows: targets });
    for (let i = 0; i < chunks; i++) {
      const start = i * headChunk;
      const count = Math.min(headChunk, pack.targets - start);
      const part = (v: View) => rows(v, start, count);
      const feeds = {
        ...head,
        ...this.model.shared,
        x: part(targets),
        labels: part(pack.labels),
        weights: part(weights),
      };
      const loss = view(losses.buffer, [], i);
      if (training) runtime.run(this.programs.loss, feeds, { loss, 'grad.x': part(gradient) });
      else runtime.run(this.programs.lossOnly, feeds, { loss });
    }
    if (!training) return { losses };
    const dx = this.workspace.get('dx', [pack.tokens, c.hiddenSize]);
    runtime.run(this.programs.shared.scatter, { rows: gradient, index: pack.targetRows, like: x }, { all: dx });
    return { losses, dx };
  }

  /** Views into the gradient vector for the adapters of a layer, under the names of the backward programs. */
  private adapterGradients(layer: number): Record<string, View> {
    const views: Record<string, View> = {};
    for (const site of siteNames) {
      const s = this.image.at(layer, site);
      if (!s) continue;
      views[`grad.${site}.A`] = view(this.gradients, [s.rank, s.shape.in], s.aOffset);
      views[`grad.${site}.B`] = view(this.gradients, [s.shape.out, s.rank], s.bOffset);
    }
    return views;
  }

  private async backward(pack: PackInput, top: View): Promise<void> {
    const { runtime, config: c } = this.model;
    const breathe = createBreather();
    const query = c.heads * c.headDim;
    const key = c.kvHeads * c.headDim;
    const temporary = (name: string, width: number) => this.workspace.get(`grad.${name}`, [pack.tokens, width]);
    const [dq, dk, dv, dO] = [temporary('q', query), temporary('k', key), temporary('v', key), temporary('o', query)];
    let dy = top;
    for (let layer = c.layers - 1; layer >= 0; layer--) {
      const programs = this.layerPrograms(layer, true);
      const constants = this.constants(layer, pack);
      const grads = this.adapterGradients(layer);
      const act = (name: string, width: number) => this.activation(name, layer, width, pack, true);
      const x = act('x', c.hiddenSize);
      const residual = temporary('residual', c.hiddenSize);
      if (programs.after.backward) {
        const saved = this.savedViews(programs.after, `${layer}.after.`, { tokens: pack.tokens });
        const feeds = { ...constants, ...saved, x, o: act('o', query), 'grad.y': dy };
        runtime.run(programs.after.backward, feeds, { 'grad.x': residual, 'grad.o': dO, ...grads });
      }
      if (!programs.before.backward) continue;
      const [q, k, v] = [act('q', query), act('k', key), act('v', key)];
      const attentionSaved = this.attentionSaved(programs.attention, layer, pack);
      pack.segments.forEach(({ start, length }, i) => {
        const part = (t: View) => rows(t, start, length);
        const feeds = {
          ...attentionSaved[i],
          ...causalIndices(this.model, length),
          q: part(q),
          k: part(k),
          v: part(v),
          'grad.o': part(dO),
        };
        runtime.run(programs.attention.backward!, feeds, {
          'grad.q': part(dq),
          'grad.k': part(dk),
          'grad.v': part(dv),
        });
      });
      const saved = this.savedViews(programs.before, `${layer}.before.`, { tokens: pack.tokens });
      const feeds = { ...constants, ...saved, x, residual, 'grad.q': dq, 'grad.k': dk, 'grad.v': dv };
      const below = temporary('x', c.hiddenSize);
      runtime.run(programs.before.backward, feeds, { 'grad.x': below, ...grads });
      dy = below;
      await breathe();
    }
  }
}
