// One forward and backward pass over a pack of sequences: loss, and the gradient of every adapter tensor.
// No gradient is made that no adapter needs.
import { createBreather, type Rng } from '../base/index.ts';
import { type View, view } from '../engine/index.ts';
import type { LoraLayout } from '../models/index.ts';
import { type AdapterImage, adapterImage } from './adapterImage.ts';
import { LayerRun, type PassContext } from './layerRun.ts';
import { alone, type PackInput, packInput, type TokenFamily, type TokenSequence } from './packInput.ts';
import type { ResidentModel } from './residentModel.ts';
import { compileTraining } from './trainingPrograms.ts';
import { rows, Workspace } from './workspace.ts';

/** Target rows whose logits exist at the same time: rows * vocab * 4 bytes, up to three times over. */
const headChunk = 256;

export interface PassResult {
  /** Sum over all targets of weight * negative log likelihood, in nats. */
  loss: number;
  /** Gradient of `loss` for the adapter's flat vector. */
  gradients: Float32Array;
}

export interface PassOptions {
  /** Keep a layer's input only, and run the layer again in the backward pass: a third more work, far less memory. */
  recompute?: boolean;
}

/** A pack: sequences, or families of sequences that start with the same tokens. */
export type PackContent = readonly (TokenSequence | TokenFamily)[];

export class TrainingPass {
  private readonly context: PassContext;

  private constructor(context: PassContext) {
    this.context = context;
  }

  static async create(model: ResidentModel, layout: LoraLayout, options: PassOptions = {}): Promise<TrainingPass> {
    const image = adapterImage(model.basis, layout, model.foldedNorms);
    const programs = await compileTraining(model, image.ranks, {
      dropout: layout.config.dropout > 0,
      recompute: !!options.recompute,
    });
    return new TrainingPass({
      model,
      image,
      programs,
      layout,
      workspace: new Workspace(model.runtime),
      parameters: model.runtime.alloc('float32', layout.size),
      gradients: model.runtime.alloc('float32', layout.size),
    });
  }

  get image(): AdapterImage {
    return this.context.image;
  }

  /** Sends the adapter's tensors to the device. Call after every change. */
  async setParameters(params: Float32Array): Promise<void> {
    const { model, image, parameters } = this.context;
    model.runtime.write(parameters, await image.fromParameters(params));
  }

  /** Gives programs and memory back; the pass is of no use afterwards. */
  release(): void {
    const { model, programs, workspace, parameters, gradients } = this.context;
    for (const p of programs.all) model.runtime.release(p);
    workspace.release();
    model.runtime.free(parameters);
    model.runtime.free(gradients);
  }

  /** Device memory of activations and gradients, in bytes. */
  get workspaceBytes(): number {
    return this.context.workspace.bytes + 8 * this.context.layout.size;
  }

  /**
   * @param weight factor on every target's loss, e.g. 1 / (targets of the whole optimiser step).
   * @param rng draws the dropout masks; without it nothing is dropped. A shared prefix is dropped from once for all.
   */
  async run(content: PackContent, weight: number, rng?: Rng): Promise<PassResult> {
    const { model, image, gradients, layout } = this.context;
    const pack = this.layOut(content);
    const layers = new LayerRun(this.context, pack, true);
    const breathe = createBreather();
    this.embed(pack, layers.input(0));
    const count = model.config.layers;
    for (let layer = 0; layer < count; layer++) {
      layers.drawMasks(layer, rng);
      layers.forward(layer);
      await breathe();
    }
    const { losses, dx } = this.head(pack, layers.input(count), weight, true);
    let dy = dx!;
    for (let layer = count - 1; layer >= 0; layer--) {
      dy = layers.backward(layer, dy);
      await breathe();
    }
    const [parts, vector] = await Promise.all([
      model.runtime.read(losses) as Promise<Float32Array>,
      model.runtime.read(view(gradients, [layout.size])) as Promise<Float32Array>,
    ]);
    return { loss: parts.reduce((a, b) => a + b, 0), gradients: await image.toGradients(vector) };
  }

  /** Sum of the negative log likelihood of all targets, nothing dropped, no gradient. */
  async evaluate(content: PackContent): Promise<number> {
    const { model } = this.context;
    const pack = this.layOut(content);
    const layers = new LayerRun(this.context, pack, false);
    const breathe = createBreather();
    this.embed(pack, layers.input(0));
    for (let layer = 0; layer < model.config.layers; layer++) {
      layers.forward(layer);
      await breathe();
    }
    const { losses } = this.head(pack, layers.input(model.config.layers), 1, false);
    const parts = (await model.runtime.read(losses)) as Float32Array;
    return parts.reduce((a, b) => a + b, 0);
  }

  private layOut(content: PackContent): PackInput {
    const families = content.map((item) => ('members' in item ? item : alone(item)));
    return packInput(this.context.model, this.context.workspace, families);
  }

  private embed(pack: PackInput, x: View): void {
    const { model, programs } = this.context;
    model.runtime.run(programs.embed, { ...model.embedding, index: pack.ids }, { rows: x });
  }

  /** Loss of the target rows in chunks; in training also the gradient of the last layer's output. */
  private head(pack: PackInput, x: View, weight: number, training: boolean): { losses: View; dx?: View } {
    const { model, programs, workspace } = this.context;
    const { runtime, config: c, head } = model;
    const chunks = Math.ceil(pack.targets / headChunk);
    const losses = workspace.get('losses', [chunks]);
    const weights = workspace.get('weights', [pack.targets, 1]);
    runtime.write(
      weights.buffer,
      Float32Array.from(pack.counts, (n) => n * weight),
    );
    const targets = workspace.get('targetX', [pack.targets, c.hiddenSize]);
    const gradient = workspace.get('targetGrad', [pack.targets, c.hiddenSize]);
    runtime.run(programs.gather, { table: x, index: pack.targetRows }, { rows: targets });
    for (let i = 0; i < chunks; i++) {
      const start = i * headChunk;
      const count = Math.min(headChunk, pack.targets - start);
      const part = (v: View) => rows(v, start, count);
      const feeds = {
        ...head,
        ...model.shared,
        x: part(targets),
        labels: part(pack.labels),
        weights: part(weights),
      };
      const loss = view(losses.buffer, [], i);
      if (training) runtime.run(programs.loss, feeds, { loss, 'grad.x': part(gradient) });
      else runtime.run(programs.lossOnly, feeds, { loss });
    }
    if (!training) return { losses };
    const dx = workspace.get('dx', [pack.tokens, c.hiddenSize]);
    runtime.run(programs.scatter, { rows: gradient, index: pack.targetRows, like: x }, { all: dx });
    return { losses, dx };
  }
}
