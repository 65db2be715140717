// The layers of one pass over a pack: forward, keeping what the backward needs, and backward. Where memory is short a
// layer keeps its input only and is run again in the backward pass (gradient checkpointing, Chen et al. 2016).
import type { Rng } from '../base/index.ts';
import {
  type Bindings,
  type CompiledProgram,
  type DeviceBuffer,
  elementCount,
  type View,
  view,
} from '../engine/index.ts';
import { resolveShape } from '../graph/index.ts';
import {
  keyHeads,
  type LoraLayout,
  type ModuleName,
  moduleNames,
  moduleShape,
  queryHeads,
  windowOf,
} from '../models/index.ts';
import { adapterBindings } from './adapterBindings.ts';
import type { AdapterImage } from './adapterImage.ts';
import { dropoutMask } from './dropoutMask.ts';
import { type AttentionGroup, attentionGroups, groupMasks, groupRows, planSaved } from './packAttention.ts';
import { causalIndices, type PackInput } from './packInput.ts';
import type { CompiledPair } from './programs.ts';
import type { ResidentModel } from './residentModel.ts';
import type { LayerPrograms, TrainingPrograms } from './trainingPrograms.ts';
import type { Workspace } from './workspace.ts';

/** What all passes of a model and an adapter share. */
export interface PassContext {
  readonly model: ResidentModel;
  readonly image: AdapterImage;
  readonly programs: TrainingPrograms;
  readonly workspace: Workspace;
  readonly layout: LoraLayout;
  /** The adapter as the device sees it, and its gradient: flat vectors in the order of `layout`. */
  readonly parameters: DeviceBuffer;
  readonly gradients: DeviceBuffer;
}

/** Where the kept values of the layer that is being run again lie. */
const againSlot = 'again';

export class LayerRun {
  private readonly context: PassContext;
  private readonly pack: PackInput;
  private readonly training: boolean;
  private readonly groups: readonly AttentionGroup[];
  private readonly masks: readonly Record<string, View>[];
  /** For layers that see a window only. */
  private readonly windowMasks: readonly Record<string, View>[];
  private readonly query: number;
  private readonly key: number;

  constructor(context: PassContext, pack: PackInput, training: boolean) {
    const { config: c } = context.model;
    this.context = context;
    this.pack = pack;
    this.training = training;
    this.query = c.heads * c.headDim;
    this.key = c.kvHeads * c.headDim;
    this.groups = attentionGroups(pack.segments);
    this.masks = this.makeMasks('masks', context.programs.mask);
    const { windowMask } = context.programs;
    const size = c.slidingWindow?.size ?? Number.POSITIVE_INFINITY;
    const reaches = windowMask && pack.segments.some((s) => s.keys > size);
    this.windowMasks = reaches ? this.makeMasks('windowMasks', windowMask) : this.masks;
  }

  private makeMasks(name: string, program: CompiledProgram): Record<string, View>[] {
    const { model, workspace } = this.context;
    const masks = groupMasks(this.groups, workspace, name);
    this.groups.forEach((group, i) => {
      group.segments.forEach((s, j) => {
        const indices = causalIndices(model, s.length, s.keys - s.length);
        model.runtime.run(program, indices, { mask: masks[i]![`mask${j}`]! });
      });
    });
    return masks;
  }

  private programsOf(layer: number): LayerPrograms {
    const { first, upper, plain } = this.context.programs;
    if (!this.training) return plain;
    return layer === 0 ? first : upper;
  }

  private tensor(name: string, width: number, rows = this.pack.tokens): View {
    return this.context.workspace.get(name, [rows, width]);
  }

  /** The input of a layer: kept in training; in evaluation two buffers take turns. */
  input(layer: number): View {
    return this.tensor(`${this.training ? layer : `turn${layer % 2}`}.x`, this.context.model.config.hiddenSize);
  }

  /** What a layer's programs take besides activations: weights, rotations, rotary tables, adapter, masks. */
  private constants(layer: number): Bindings {
    const { model, layout, parameters } = this.context;
    return {
      ...model.shared,
      ...model.layers[layer]!,
      positions: this.pack.positions,
      ...this.pack.repetition,
      ...adapterBindings(layout, parameters, layer),
      ...(this.training && layout.config.dropout > 0 ? this.dropoutMasks(layer) : {}),
    };
  }

  private dropoutMasks(layer: number): Record<string, View> {
    const { image, model } = this.context;
    const adapted: ModuleName[] = moduleNames.filter((m) => image.ranks[m] > 0);
    return Object.fromEntries(
      adapted.map((m) => [`${m}.mask`, this.tensor(`${layer}.${m}.mask`, moduleShape(model.config, m).in)]),
    );
  }

  /** Draws a layer's dropout masks; without a generator nothing is dropped. */
  drawMasks(layer: number, rng: Rng | undefined): void {
    const { model, layout } = this.context;
    const p = layout.config.dropout;
    if (p === 0) return;
    for (const v of Object.values(this.dropoutMasks(layer))) {
      model.runtime.write(v.buffer, dropoutMask(elementCount(v.shape), rng ? p : 0, rng));
    }
  }

  private savedViews(pair: CompiledPair, prefix: string): Record<string, View> {
    const sizes = { tokens: this.pack.tokens, keys: this.pack.keys };
    const views: Record<string, View> = {};
    for (const [name, shape] of pair.saved) {
      views[name] = this.context.workspace.get(prefix + name, resolveShape(shape, sizes));
    }
    return views;
  }

  /** What attention keeps in a slot, per group. */
  private attentionSaved(slot: string): Record<string, View>[] {
    const plan = planSaved(this.groups, this.context.programs.attention);
    return plan.views(this.context.workspace.get(`${slot}.attention`, [plan.size]));
  }

  private activations(slot: string) {
    const { query, key, pack } = this;
    return {
      q: this.tensor(`${slot}.q`, query),
      k: this.tensor(`${slot}.k`, key, pack.keys),
      v: this.tensor(`${slot}.v`, key, pack.keys),
      o: this.tensor(`${slot}.o`, query),
    };
  }

  private withShape(views: Record<string, View>, shape: readonly number[]): Record<string, View> {
    return Object.fromEntries(Object.entries(views).map(([name, v]) => [name, view(v.buffer, shape, v.offset)]));
  }

  /** As attention sees them: by head. */
  private byQuery(views: Record<string, View>): Record<string, View> {
    return this.withShape(views, queryHeads(this.context.model.config, this.pack.tokens) as number[]);
  }

  private byKey(views: Record<string, View>): Record<string, View> {
    return this.withShape(views, keyHeads(this.context.model.config, this.pack.keys) as number[]);
  }

  /** Where a layer's kept values lie. */
  private slotOf(layer: number): string {
    return this.context.programs.recompute ? againSlot : `${layer}`;
  }

  /** Input of `layer` to input of `layer + 1`. */
  forward(layer: number): void {
    const { programs, model } = this.context;
    // The last layer is the first of the backward pass: what it makes is still there then.
    const keep = this.training && (!programs.recompute || layer === model.config.layers - 1);
    this.run(layer, keep ? this.slotOf(layer) : 'turn', keep, this.input(layer + 1));
  }

  /** @param y where the result goes; without it only what the backward needs is made. */
  private run(layer: number, slot: string, keep: boolean, y?: View): void {
    const { programs: all, model } = this.context;
    const { runtime } = model;
    const programs = this.programsOf(layer);
    const constants = this.constants(layer);
    const x = this.input(layer);
    const { q, k, v, o } = this.activations(slot);
    const saved = keep ? this.savedViews(programs.before, `${slot}.before.`) : {};
    runtime.run(programs.before.forward, { ...constants, x }, { q, k, v, ...saved });

    const attention = this.training ? all.attention : all.plainAttention;
    const masks = windowOf(model.config, layer) ? this.windowMasks : this.masks;
    const attentionSaved = keep ? this.attentionSaved(slot) : [];
    this.groups.forEach((group, i) => {
      const feeds = { ...groupRows(group, this.byQuery({ q }), this.byKey({ k, v })), ...masks[i] };
      const results = groupRows(group, this.byQuery({ o }));
      runtime.run(attention.get(group.size)!.forward, feeds, { ...results, ...attentionSaved[i] });
    });

    const after = keep ? this.savedViews(programs.after, `${slot}.after.`) : {};
    if (y) runtime.run(programs.after.forward, { ...constants, x, o }, { y, ...after });
    else if (programs.after.again) runtime.run(programs.after.again, { ...constants, x, o }, after);
  }

  /** Gradient of the input of `layer + 1` to that of `layer`, and the gradients of the layer's adapter. */
  backward(layer: number, dy: View): View {
    const { programs: all, model, layout, gradients } = this.context;
    const { runtime, config: c } = model;
    const programs = this.programsOf(layer);
    const slot = this.slotOf(layer);
    if (all.recompute && layer < c.layers - 1) this.run(layer, slot, true);

    const constants = this.constants(layer);
    const grads = adapterBindings(layout, gradients, layer, 'grad.');
    const x = this.input(layer);
    const { q, k, v, o } = this.activations(slot);
    const residual = this.tensor('grad.residual', c.hiddenSize);
    const dO = this.tensor('grad.o', this.query);
    if (programs.after.backward) {
      const saved = this.savedViews(programs.after, `${slot}.after.`);
      const feeds = { ...constants, ...saved, x, o, 'grad.y': dy };
      runtime.run(programs.after.backward, feeds, { 'grad.x': residual, 'grad.o': dO, ...grads });
    }
    if (!programs.before.backward) return dy;

    const dq = this.tensor('grad.q', this.query);
    const [dk, dv] = [this.tensor('grad.k', this.key, this.pack.keys), this.tensor('grad.v', this.key, this.pack.keys)];
    const attentionSaved = this.attentionSaved(slot);
    this.groups.forEach((group, i) => {
      const inputs = groupRows(group, this.byQuery({ q, 'grad.o': dO }), this.byKey({ k, v }));
      const results = groupRows(group, this.byQuery({ 'grad.q': dq }), this.byKey({ 'grad.k': dk, 'grad.v': dv }));
      runtime.run(all.attention.get(group.size)!.backward!, { ...inputs, ...attentionSaved[i] }, results);
    });
    const saved = this.savedViews(programs.before, `${slot}.before.`);
    const feeds = { ...constants, ...saved, x, residual, 'grad.q': dq, 'grad.k': dk, 'grad.v': dv };
    const below = this.tensor('grad.x', c.hiddenSize);
    runtime.run(programs.before.backward, feeds, { 'grad.x': below, ...grads });
    return below;
  }
}
