// A model on a device: its weights, converted to a precision and bound to the names that programs use.
import { createBreather } from '../base/index.ts';
import type { CompiledProgram } from '../engine/index.ts';
import { type DeviceBuffer, type HostArray, type Runtime, type View, view } from '../engine/index.ts';
import {
  type LlamaConfig,
  type ModuleName,
  moduleNames,
  moduleShape,
  ropeTables,
  type WeightSource,
} from '../models/index.ts';
import {
  type Basis,
  basisOf,
  type Precision,
  quantizeHeadProgram,
  quantizeModuleProgram,
  rotateEmbeddingProgram,
  rotationMatrices,
} from '../quant/index.ts';
import type { FoldedNorms } from './adapterImage.ts';
import { type NormName, normedModules } from './projections.ts';

export interface ResidentModel {
  runtime: Runtime;
  config: LlamaConfig;
  basis: Basis;
  /** Backward weights are there too. */
  training: boolean;
  /** Per layer: views by input name, e.g. 'q_proj.w', 'mlpNorm'. */
  layers: readonly Readonly<Record<string, View>>[];
  /** Inputs that are the same in every layer: rotary tables, rotations. */
  shared: Readonly<Record<string, View>>;
  embedding: View;
  head: Readonly<Record<string, View>>;
  /** 0, 1, 2, ... as float32, [positions]: the indices that causal masks are made of. */
  iota: View;
  /** Longest sequence for which there are positions. */
  positions: number;
  /** Norm weights on the host, where a module folds them: adapters need them to change basis. */
  foldedNorms: FoldedNorms;
}

export interface LoadOptions {
  runtime: Runtime;
  config: LlamaConfig;
  weights: WeightSource;
  precision: Precision;
  training: boolean;
  /** Longest sequence wanted; default and upper bound: what the model was made for. */
  positions?: number;
  /** Most tokens in one forward pass, where a pack holds more than one sequence. */
  packTokens?: number;
  /** Called with the fraction done. */
  onProgress?: (done: number) => void;
}

/** Embedding rows converted at a time, so that the main thread stays responsive. */
const embeddingChunk = 2048;

/** Loads a checkpoint. Peak memory is the model plus one matrix. */
export async function loadModel(options: LoadOptions): Promise<ResidentModel> {
  const { runtime, config: c, weights, precision, training } = options;
  const basis = basisOf(precision, c);
  const positions = Math.min(options.positions ?? c.maxPositions, c.maxPositions);
  const upload = (data: HostArray, shape: readonly number[]) => view(runtime.upload(data), shape);
  const steps = c.layers + 2;
  let step = 0;
  const advance = () => options.onProgress?.(++step / steps);

  // onnxruntime's RotaryEmbedding wants a table row for each token of a pass, whatever their positions are.
  const tableRows = Math.max(positions, options.packTokens ?? 0);
  const tables = ropeTables(c, tableRows, await weights.ropeFactors());
  const half = c.headDim / 2;
  const rotations = Object.fromEntries(
    [...rotationMatrices(basis)].map(([name, { size, data }]) => [name, upload(data, [size, size])]),
  );
  const shared = {
    cos: upload(tables.cos, [tableRows, half]),
    sin: upload(tables.sin, [tableRows, half]),
    ...rotations,
  };
  const convert = await converter(options, basis, rotations);

  const embedding = await convert.embedding();
  advance();
  const layers: Record<string, View>[] = [];
  const foldedNorms: Partial<Record<ModuleName, Float32Array>>[] = [];
  for (let layer = 0; layer < c.layers; layer++) {
    const bound: Record<string, View> = {};
    const norms: Partial<Record<ModuleName, Float32Array>> = {};
    for (const [kind, modulesAfter] of Object.entries(normedModules) as [NormName, readonly ModuleName[]][]) {
      const norm = await weights.read({ kind, layer });
      for (const m of modulesAfter) if (basis.modules[m].foldsNorm) norms[m] = norm;
      if (!norms[modulesAfter[0]!]) bound[kind] = upload(norm, [c.hiddenSize]);
    }
    for (const module of moduleNames) {
      const matrix = await weights.read({ kind: 'projection', layer, module });
      Object.assign(bound, convert.projection(module, matrix, norms[module]));
    }
    layers.push(bound);
    foldedNorms.push(norms);
    // Waiting here bounds what is in flight to one layer.
    await runtime.sync();
    advance();
  }
  const head = await convert.head(embedding);
  advance();
  return {
    runtime,
    config: c,
    basis,
    training,
    layers,
    shared,
    embedding,
    head,
    iota: upload(
      Float32Array.from({ length: positions }, (_, i) => i),
      [positions],
    ),
    positions,
    foldedNorms,
  };
}

interface Converter {
  /** `norm`: weight of the norm that is folded in; not consumed. `matrix` is. */
  projection(module: ModuleName, matrix: Float32Array, norm: Float32Array | undefined): Record<string, View>;
  embedding(): Promise<View>;
  head(embedding: View): Promise<Record<string, View>>;
}

async function converter(options: LoadOptions, basis: Basis, rotations: Record<string, View>): Promise<Converter> {
  const { runtime, config: c, weights, training } = options;
  const alloc = (dtype: 'float32' | 'int8', shape: readonly number[]) =>
    view(
      runtime.alloc(
        dtype,
        shape.reduce((a, b) => a * b, 1),
      ),
      shape,
    );
  const tableShape = [c.vocabSize, c.hiddenSize] as const;

  /** Streams a [vocab, hidden] table to the device in row chunks; `place` puts each chunk. */
  async function table(kind: 'embedding' | 'head', place: (rows: Float32Array, first: number) => void) {
    const breathe = createBreather();
    for (let first = 0; first < c.vocabSize; first += embeddingChunk) {
      const last = Math.min(first + embeddingChunk, c.vocabSize);
      place(await weights.read({ kind }, [first, last]), first);
      await breathe();
    }
  }
  async function plainTable(kind: 'embedding' | 'head'): Promise<View> {
    const whole = alloc('float32', tableShape);
    await table(kind, (rows, first) => runtime.write(whole.buffer, rows, first * c.hiddenSize));
    return whole;
  }

  if (basis.precision === 'fp32') {
    return {
      projection(module, matrix) {
        const shape = moduleShape(c, module);
        return { [`${module}.w`]: view(runtime.upload(matrix), [shape.out, shape.in]) };
      },
      embedding: () => plainTable('embedding'),
      async head(embedding) {
        const norm = await weights.read({ kind: 'finalNorm' });
        return {
          'head.w': c.tiedHead ? embedding : await plainTable('head'),
          'head.norm': view(runtime.upload(norm), [c.hiddenSize]),
        };
      },
    };
  }

  const programs = new Map<ModuleName, CompiledProgram>();
  for (const module of moduleNames) {
    programs.set(module, await runtime.compile(quantizeModuleProgram(c, basis, module, training)));
  }
  const rotateEmbedding = await runtime.compile(rotateEmbeddingProgram(c, basis));
  return {
    projection(module, matrix, norm) {
      const shape = moduleShape(c, module);
      const made: Record<string, View> = {
        w: alloc('int8', [shape.in, shape.out]),
        scale: alloc('float32', [shape.out]),
        ...(training ? { wT: alloc('int8', [shape.out, shape.in]), scaleT: alloc('float32', [shape.in]) } : {}),
      };
      const temporary: DeviceBuffer[] = [];
      const lend = (data: Float32Array, shapeOf: readonly number[]) => {
        const buffer = runtime.upload(data);
        temporary.push(buffer);
        return view(buffer, shapeOf);
      };
      const feeds = {
        ...rotations,
        weight: lend(matrix, [shape.out, shape.in]),
        ...(norm ? { norm: lend(norm.slice(), [shape.in]) } : {}),
      };
      runtime.run(programs.get(module)!, feeds, made);
      for (const b of temporary) runtime.free(b);
      return Object.fromEntries(Object.entries(made).map(([name, v]) => [`${module}.${name}`, v]));
    },
    async embedding() {
      const whole = alloc('float32', tableShape);
      await table('embedding', (rows, first) => {
        const count = rows.length / c.hiddenSize;
        const weight = runtime.upload(rows);
        const target = view(whole.buffer, [count, c.hiddenSize], first * c.hiddenSize);
        runtime.run(
          rotateEmbedding,
          { ...rotations, weight: view(weight, [count, c.hiddenSize]) },
          { rotated: target },
        );
        runtime.free(weight);
      });
      return whole;
    },
    async head() {
      const program = await runtime.compile(quantizeHeadProgram(c, basis, training));
      const weight = await plainTable('head');
      const norm = view(runtime.upload(await weights.read({ kind: 'finalNorm' })), [c.hiddenSize]);
      const made: Record<string, View> = {
        w: alloc('int8', [c.hiddenSize, c.vocabSize]),
        scale: alloc('float32', [c.vocabSize]),
        ...(training ? { float: alloc('float32', tableShape) } : {}),
      };
      runtime.run(program, { ...rotations, weight, norm }, made);
      runtime.free(weight.buffer);
      runtime.free(norm.buffer);
      await runtime.sync();
      return Object.fromEntries(Object.entries(made).map(([name, v]) => [`head.${name}`, v]));
    },
  };
}
