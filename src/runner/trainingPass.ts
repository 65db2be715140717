// One forward and backward pass over a pack of sequences: loss, and the gradient of every adapter tensor.
// What the backward needs is kept, not computed again; no gradient is made that no adapter needs.
import { createBreather, type Rng } from '../base/index.ts';
import { type Bindings, type DeviceBuffer, elementCount, type View, view } from '../engine/index.ts';
import { resolveShape } from '../graph/index.ts';
import { type LoraLayout, type ModuleName, moduleNames, moduleShape } from '../models/index.ts';
import { adapterBindings } from './adapterBindings.ts';
import { type AdapterImage, adapterImage } from './adapterImage.ts';
import { dropoutMask } from './dropoutMask.ts';
import { type AttentionGroup, attentionGroups, groupIndices, groupRows, planSaved } from './packAttention.ts';
import { type PackInput, packInput, type TokenSequence } from './packInput.ts';
import type { CompiledPair } from './programs.ts';
import type { ResidentModel } from './residentModel.ts';
import { compileTraining, type LayerPrograms, type TrainingPrograms } from './trainingPrograms.ts';
import { rows, Workspace } from './workspace.ts';

/** Target rows whose logits exist at the same time: rows * vocab * 4 bytes, three times over. */
const headChunk = 256;

/** A pack on the device, with its sequences in groups. */
interface LaidOut extends PackInput {
  groups: readonly AttentionGroup[];
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
  private readonly programs: TrainingPrograms;

  private constructor(model: ResidentModel, image: AdapterImage, programs: TrainingPrograms) {
    this.model = model;
    this.image = image;
    this.programs = programs;
    this.workspace = new Workspace(model.runtime);
    this.parameters = model.runtime.alloc('float32', image.layout.size);
    this.gradients = model.runtime.alloc('float32', image.layout.size);
    this.dropout = image.layout.config.dropout;
  }

  static async create(model: ResidentModel, layout: LoraLayout): Promise<TrainingPass> {
    const image = adapterImage(model.basis, layout, model.foldedNorms);
    return new TrainingPass(model, image, await compileTraining(model, image.ranks, layout.config.dropout > 0));
  }

  /** Sends the adapter's tensors to the device. Call after every change. */
  async setParameters(params: Float32Array): Promise<void> {
    this.model.runtime.write(this.parameters, await this.image.fromParameters(params));
  }

  /** Gives programs and memory back; the pass is of no use afterwards. */
  release(): void {
    const { runtime } = this.model;
    for (const p of this.programs.all) runtime.release(p);
    this.workspace.release();
    runtime.free(this.parameters);
    runtime.free(this.gradients);
  }

  /** Device memory of activations and gradients, in bytes. */
  get workspaceBytes(): number {
    return this.workspace.bytes + 8 * this.image.layout.size;
  }

  /**
   * @param weight factor on every target's loss, e.g. 1 / (targets of the whole optimiser step).
   * @param rng draws the dropout masks; without it nothing is dropped.
   */
  async run(sequences: readonly TokenSequence[], weight: number, rng?: Rng): Promise<PassResult> {
    const pack = this.layOut(sequences);
    const masks = rng && this.dropout > 0 ? rng : undefined;
    const x = await this.forward(pack, true, masks);
    const { losses, dx } = this.head(pack, x, weight, true);
    await this.backward(pack, dx!);
    const { runtime } = this.model;
    const [parts, image] = await Promise.all([
      runtime.read(losses) as Promise<Float32Array>,
      runtime.read(view(this.gradients, [this.image.layout.size])) as Promise<Float32Array>,
    ]);
    return { loss: parts.reduce((a, b) => a + b, 0), gradients: await this.image.toGradients(image) };
  }

  /** Sum of the negative log likelihood of all targets, nothing dropped, no gradient. */
  async evaluate(sequences: readonly TokenSequence[]): Promise<number> {
    const pack = this.layOut(sequences);
    const x = await this.forward(pack, false);
    const { losses } = this.head(pack, x, 1, false);
    const parts = (await this.model.runtime.read(losses)) as Float32Array;
    return parts.reduce((a, b) => a + b, 0);
  }

  private layOut(sequences: readonly TokenSequence[]): LaidOut {
    const pack = packInput(this.model, this.workspace, sequences);
    return { ...pack, groups: attentionGroups(pack.segments) };
  }

  private layerPrograms(layer: number, training: boolean): LayerPrograms {
    if (!training) return this.programs.plain;
    return layer === 0 ? this.programs.first : this.programs.upper;
  }

  /** What a layer's programs take besides activations: weights, rotations, rotary tables, adapter, masks. */
  private constants(layer: number, pack: LaidOut, training: boolean): Bindings {
    return {
      ...this.model.shared,
      ...this.model.layers[layer]!,
      positions: pack.positions,
      ...adapterBindings(this.image.layout, this.parameters, layer),
      ...(training && this.dropout > 0 ? this.masks(layer, pack) : {}),
    };
  }

  private adapted(): ModuleName[] {
    return moduleNames.filter((m) => this.image.ranks[m] > 0);
  }

  private masks(layer: number, pack: LaidOut): Record<string, View> {
    const mask = (module: ModuleName) => {
      const shape = [pack.tokens, moduleShape(this.model.config, module).in];
      return [`${module}.mask`, this.workspace.get(`${layer}.${module}.mask`, shape)] as const;
    };
    return Object.fromEntries(this.adapted().map(mask));
  }

  private drawMasks(layer: number, pack: LaidOut, rng: Rng | undefined): void {
    if (this.dropout === 0) return;
    for (const v of Object.values(this.masks(layer, pack))) {
      this.model.runtime.write(v.buffer, dropoutMask(elementCount(v.shape), rng ? this.dropout : 0, rng));
    }
  }

  private savedViews(pair: CompiledPair, prefix: string, sizes: Record<string, number>): Record<string, View> {
    const views: Record<string, View> = {};
    for (const [name, shape] of pair.saved) views[name] = this.workspace.get(prefix + name, resolveShape(shape, sizes));
    return views;
  }

  /** What attention keeps of a layer, per group; nothing in evaluation. */
  private attentionSaved(layer: number, pack: LaidOut): Record<string, View>[] {
    const plan = planSaved(pack.groups, this.programs.attention);
    return plan.views(this.workspace.get(`${layer}.attention`, [plan.size]));
  }

  /** Activations of a layer. In evaluation, where nothing is kept, two sets of buffers take turns. */
  private activation(name: string, layer: number, width: number, pack: LaidOut, kept: boolean): View {
    return this.workspace.get(`${kept ? layer : `turn${layer % 2}`}.${name}`, [pack.tokens, width]);
  }

  private async forward(pack: LaidOut, training: boolean, rng?: Rng): Promise<View> {
    const { runtime, config: c, embedding } = this.model;
    const breathe = createBreather();
    const query = c.heads * c.headDim;
    const key = c.kvHeads * c.headDim;
    let x = this.activation('x', 0, c.hiddenSize, pack, training);
    runtime.run(this.programs.gather, { table: embedding, index: pack.ids }, { rows: x });
    for (let layer = 0; layer < c.layers; layer++) {
      const programs = this.layerPrograms(layer, training);
      if (training) this.drawMasks(layer, pack, rng);
      const constants = this.constants(layer, pack, training);
      const act = (name: string, width: number) => this.activation(name, layer, width, pack, training);
      const [q, k, v, o] = [act('q', query), act('k', key), act('v', key), act('o', query)];
      const saved = training ? this.savedViews(programs.before, `${layer}.before.`, { tokens: pack.tokens }) : {};
      runtime.run(programs.before.forward, { ...constants, x }, { q, k, v, ...saved });

      const attention = training ? this.programs.attention : this.programs.plainAttention;
      const attentionSaved = training ? this.attentionSaved(layer, pack) : [];
      pack.groups.forEach((group, i) => {
        const feeds = { ...groupRows(group, { q, k, v }), ...groupIndices(this.model, group) };
        runtime.run(attention.get(group.size)!.forward, feeds, { ...groupRows(group, { o }), ...attentionSaved[i] });
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
  private head(pack: LaidOut, x: View, weight: number, training: boolean): { losses: View; dx?: View } {
    const { runtime, config: c, head } = this.model;
    const chunks = Math.ceil(pack.targets / headChunk);
    const losses = this.workspace.get('losses', [chunks]);
    const weights = this.workspace.get('weights', [pack.targets, 1]);
    runtime.write(weights.buffer, new Float32Array(pack.targets).fill(weight));
    const targets = this.workspace.get('targetX', [pack.targets, c.hiddenSize]);
    const gradient = this.workspace.get('targetGrad', [pack.targets, c.hiddenSize]);
    runtime.run(this.programs.gather, { table: x, index: pack.targetRows }, { rows: targets });
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
    runtime.run(this.programs.scatter, { rows: gradient, index: pack.targetRows, like: x }, { all: dx });
    return { losses, dx };
  }

  private async backward(pack: LaidOut, top: View): Promise<void> {
    const { runtime, config: c } = this.model;
    const breathe = createBreather();
    const query = c.heads * c.headDim;
    const key = c.kvHeads * c.headDim;
    const temporary = (name: string, width: number) => this.workspace.get(`grad.${name}`, [pack.tokens, width]);
    const [dq, dk, dv, dO] = [temporary('q', query), temporary('k', key), temporary('v', key), temporary('o', query)];
    let dy = top;
    for (let layer = c.layers - 1; layer >= 0; layer--) {
      const programs = this.layerPrograms(layer, true);
      const constants = this.constants(layer, pack, true);
      const grads = adapterBindings(this.image.layout, this.gradients, layer, 'grad.');
      const act = (name: string, width: number) => this.activation(name, layer, width, pack, true);
      const x = act('x', c.hiddenSize);
      const residual = temporary('residual', c.hiddenSize);
      if (programs.after.backward) {
        const saved = this.savedViews(programs.after, `${layer}.after.`, { tokens: pack.tokens });
        const feeds = { ...constants, ...saved, x, o: act('o', query), 'grad.y': dy };
        runtime.run(programs.after.backward, feeds, { 'grad.x': residual, 'grad.o': dO, ...grads });
      }
      if (!programs.before.backward) continue;
      const inputs = { q: act('q', query), k: act('k', key), v: act('v', key), 'grad.o': dO };
      const attentionSaved = this.attentionSaved(layer, pack);
      pack.groups.forEach((group, i) => {
        const feeds = { ...attentionSaved[i], ...groupRows(group, inputs), ...groupIndices(this.model, group) };
        const results = groupRows(group, { 'grad.q': dq, 'grad.k': dk, 'grad.v': dv });
        runtime.run(this.programs.attention.get(group.size)!.backward!, feeds, results);
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
