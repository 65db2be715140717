// Inference for one sequence at a time: a key/value cache that lives on the device, and the logits of the last token.
import { createBreather, HuacayaError } from '../base/index.ts';
import { type CompiledProgram, type DeviceBuffer, type View, view } from '../engine/index.ts';
import { program } from '../graph/index.ts';
import { type Adapter, windowOf } from '../models/index.ts';
import { adapterBindings } from './adapterBindings.ts';
import { type AdapterImage, adapterImage } from './adapterImage.ts';
import { embedProgram } from './embedding.ts';
import { causalIndices, int64Array } from './packInput.ts';
import { cachedLayerOutputs, logitsOutputs, noRanks, ranksKey } from './programs.ts';
import type { ModuleRanks } from './projections.ts';
import type { ResidentModel } from './residentModel.ts';
import { rows, Workspace } from './workspace.ts';

/** Prompt tokens per forward pass: bounds the memory of a long prompt's scores. */
const prefillChunk = 256;

/** Keys and values of one sequence, per layer [capacity, kvHeads * headDim]. */
export interface KvCache {
  readonly keys: readonly DeviceBuffer[];
  readonly values: readonly DeviceBuffer[];
  readonly capacity: number;
  /** Tokens held. */
  length: number;
}

/** An adapter on the device, applied without being merged. */
export interface ResidentAdapter {
  readonly image: AdapterImage;
  readonly parameters: DeviceBuffer;
}

export class InferencePass {
  readonly model: ResidentModel;
  private readonly workspace: Workspace;
  private readonly layerPrograms = new Map<string, Promise<CompiledProgram>>();
  private readonly embed: CompiledProgram;
  private readonly logits: CompiledProgram;

  private constructor(model: ResidentModel, embed: CompiledProgram, logits: CompiledProgram) {
    this.model = model;
    this.workspace = new Workspace(model.runtime);
    this.embed = embed;
    this.logits = logits;
  }

  static async create(model: ResidentModel): Promise<InferencePass> {
    const { runtime, config, basis } = model;
    const logits = await runtime.compile(program('logits', logitsOutputs(config, basis)));
    return new InferencePass(model, await runtime.compile(embedProgram(config, basis)), logits);
  }

  /** Puts an adapter on the device. */
  async loadAdapter(adapter: Pick<Adapter, 'layout' | 'params'>): Promise<ResidentAdapter> {
    const { runtime, basis, foldedNorms } = this.model;
    const image = adapterImage(basis, adapter.layout, foldedNorms);
    const parameters = runtime.upload(await image.fromParameters(adapter.params));
    return { image, parameters };
  }

  /** @throws HuacayaError TOO_LONG when the model has fewer positions than `capacity`. */
  createCache(capacity: number): KvCache {
    const { runtime, config: c, positions } = this.model;
    if (capacity > positions) {
      throw new HuacayaError('TOO_LONG', `prompt and answer need ${capacity} positions, the model has ${positions}`, {
        hint: 'Shorten the prompt or ask for fewer new tokens.',
      });
    }
    const width = c.kvHeads * c.headDim;
    const buffers = () => Array.from({ length: c.layers }, () => runtime.alloc('float32', capacity * width));
    return { keys: buffers(), values: buffers(), capacity, length: 0 };
  }

  freeCache(cache: KvCache): void {
    for (const b of [...cache.keys, ...cache.values]) this.model.runtime.free(b);
  }

  /**
   * Appends tokens to the cache and returns the logits after the last of them, [vocab].
   * @throws HuacayaError TOKEN_RANGE for an id beyond the model's vocabulary.
   */
  async advance(cache: KvCache, ids: readonly number[], adapter?: ResidentAdapter): Promise<Float32Array> {
    const { runtime, config: c } = this.model;
    if (ids.length === 0 || cache.length + ids.length > cache.capacity) {
      throw new Error(`internal: ${ids.length} tokens after ${cache.length} in a cache of ${cache.capacity}`);
    }
    const beyond = ids.find((id) => id >= c.vocabSize);
    if (beyond !== undefined) {
      throw new HuacayaError('TOKEN_RANGE', `the prompt has the token id ${beyond}, the model knows ${c.vocabSize}`, {
        hint: 'The tokenizer and the weights belong to different models.',
      });
    }
    let x!: View;
    const most = Math.min(prefillChunk, this.model.positions);
    for (let from = 0; from < ids.length; from += most) {
      x = await this.chunk(cache, ids.slice(from, from + most), adapter);
    }
    const logits = this.workspace.get('logits', [1, c.vocabSize]);
    const last = rows(x, x.shape[0]! - 1, 1);
    runtime.run(this.logits, { ...this.model.head, ...this.model.shared, x: last }, { logits });
    return (await runtime.read(logits)) as Float32Array;
  }

  private async layerProgram(ranks: ModuleRanks, window: number | undefined): Promise<CompiledProgram> {
    const key = ranksKey(ranks) + (window ? '.window' : '');
    let made = this.layerPrograms.get(key);
    if (!made) {
      const { runtime, config, basis } = this.model;
      made = runtime.compile(program(`layer.${key}`, cachedLayerOutputs(config, basis, { ranks }, window)));
      this.layerPrograms.set(key, made);
    }
    return made;
  }

  private async chunk(cache: KvCache, ids: readonly number[], adapter?: ResidentAdapter): Promise<View> {
    const { runtime, config: c, embedding, layers, shared } = this.model;
    const ranks = adapter?.image.ranks ?? noRanks;
    const tokens = ids.length;
    const past = cache.length;
    const width = c.kvHeads * c.headDim;
    const index = this.workspace.get('ids', [tokens], 'int64');
    const positions = this.workspace.get('positions', [1, tokens], 'int64');
    runtime.write(index.buffer, int64Array(ids));
    runtime.write(positions.buffer, int64Array(ids.map((_, i) => past + i)));
    const turn = [this.workspace.get('x0', [tokens, c.hiddenSize]), this.workspace.get('x1', [tokens, c.hiddenSize])];
    runtime.run(this.embed, { ...embedding, index }, { rows: turn[0]! });
    const breathe = createBreather();
    for (let layer = 0; layer < c.layers; layer++) {
      const layerProgram = await this.layerProgram(ranks, windowOf(c, layer));
      const keys = cache.keys[layer]!;
      const values = cache.values[layer]!;
      const feeds = {
        ...shared,
        ...layers[layer]!,
        ...(adapter ? adapterBindings(adapter.image.layout, adapter.parameters, layer) : {}),
        ...causalIndices(this.model, tokens, past),
        positions,
        x: turn[layer % 2]!,
        pastK: view(keys, [past, width]),
        pastV: view(values, [past, width]),
      };
      runtime.run(layerProgram, feeds, {
        y: turn[(layer + 1) % 2]!,
        k: view(keys, [tokens, width], past * width),
        v: view(values, [tokens, width], past * width),
      });
      await breathe();
    }
    cache.length += tokens;
    return turn[c.layers % 2]!;
  }
}
