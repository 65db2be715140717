// A model on a device: its weights, converted to a precision and bound to the names that programs use.
import { HuacayaError } from '../base/index.ts';
import { type CompiledProgram, type HostArray, type Runtime, type View, view } from '../engine/index.ts';
import type { Program } from '../graph/index.ts';
import {
  biasedModules,
  extraVectors,
  type LlamaConfig,
  localRope,
  type ModuleName,
  moduleNames,
  moduleShape,
  ropeTables,
  type WeightSource,
  windowOf,
} from '../models/index.ts';
import {
  type Basis,
  basisOf,
  int4BlockFor,
  type Precision,
  rotateRows,
  rotationMatrices,
  w4a8BlockFor,
} from '../quant/index.ts';
import type { FoldedNorms } from './adapterImage.ts';
import { requireInt8 } from './int8Probe.ts';
import { type NormName, normedModules } from './projections.ts';
import { type ConvertedWeights, conversionRecipe, nameViews, sortViews, type WeightCache } from './weightCache.ts';
import { int4Converter, int8Converter, nf4Converter, plainConverter } from './weightConverter.ts';

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
  /** `table` and, where it is quantised, `tableScale`: what `embedProgram` takes. */
  embedding: Readonly<Record<string, View>>;
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
  /** int8 with one copy of each matrix for both directions: half the memory, a little slower and less exact. */
  oneCopy?: boolean;
  /** Longest sequence wanted; default and upper bound: what the model was made for. */
  positions?: number;
  /** Most tokens in one forward pass, where a pack holds more than one sequence. */
  packTokens?: number;
  /** Where converted weights are kept from one start to the next. */
  cache?: WeightCache;
  /** false: neither processor nor architecture are asked whether they can do int8; for plans. */
  probe?: boolean;
  /** Called with the fraction done. */
  onProgress?: (done: number) => void;
}

/** Norm weights of a layer by kind, and under the modules that fold them in. */
async function readNorms(weights: WeightSource, basis: Basis, layer: number) {
  const norms: Partial<Record<NormName, Float32Array>> = {};
  const folded: Partial<Record<ModuleName, Float32Array>> = {};
  for (const [kind, modulesAfter] of Object.entries(normedModules) as [NormName, readonly ModuleName[]][]) {
    const norm = await weights.read({ kind, layer });
    norms[kind] = norm;
    for (const m of modulesAfter) if (basis.modules[m].foldsNorm) folded[m] = norm;
  }
  return { norms: norms as Record<NormName, Float32Array>, folded };
}

/** What blocks share costs up to 32 bits: below so many columns as much as the weights themselves. */
const leastBlock = 8;

function requireBlocks(c: LlamaConfig, precision: 'int4' | 'w4a8'): void {
  const blockFor = precision === 'int4' ? int4BlockFor : w4a8BlockFor;
  for (const module of moduleNames) {
    const width = moduleShape(c, module).in;
    if (blockFor(width) >= leastBlock) continue;
    throw new HuacayaError(
      'INT4_UNSUPPORTED',
      `${module} has ${width} inputs, ${precision} needs a multiple of ${leastBlock}`,
      { hint: 'Use --precision int8.' },
    );
  }
}

function converter(options: LoadOptions, basis: Basis, rotations: Readonly<Record<string, View>>) {
  switch (basis.precision) {
    case 'fp32':
      return plainConverter(options);
    case 'int4':
      return int4Converter(options);
    case 'nf4':
      return nf4Converter(options);
    default:
      return int8Converter(options, basis, rotations);
  }
}

/**
 * Loads a checkpoint. Peak memory is the model plus one matrix.
 * @throws HuacayaError INT8_UNSUPPORTED (int8 and w4a8), INT4_UNSUPPORTED (int4 and w4a8).
 */
export async function loadModel(options: LoadOptions): Promise<ResidentModel> {
  const { runtime, config: c, weights, precision, training } = options;
  const basis = basisOf(precision, c, { training, oneCopy: options.oneCopy ?? false });
  if (basis.storage !== 'float' && c.postNorms && options.probe !== false) {
    // A norm between a matrix and the stream does not go with a stream that lives in another basis.
    throw new HuacayaError(
      'INT8_UNSUPPORTED',
      `${c.architecture} has norms behind its matrices, ${precision} has not`,
      {
        hint: 'Use --precision fp32, int4 or nf4.',
      },
    );
  }
  if (basis.storage !== 'float' && options.probe !== false) await requireInt8(runtime);
  if (precision === 'int4' || precision === 'w4a8') requireBlocks(c, precision);
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
  const foldedNorms: Partial<Record<ModuleName, Float32Array>>[] = [];

  const convertAll = async (): Promise<ConvertedWeights> => {
    const programs: CompiledProgram[] = [];
    const compile = async (p: Program) => {
      const made = await runtime.compile(p);
      programs.push(made);
      return made;
    };
    const convert = await converter({ ...options, runtime: { ...runtime, compile } }, basis, rotations);
    const embedding = await convert.embedding();
    advance();
    const layers: Record<string, View>[] = [];
    let before = Promise.resolve();
    for (let layer = 0; layer < c.layers; layer++) {
      const bound: Record<string, View> = {};
      const { norms, folded } = await readNorms(weights, basis, layer);
      for (const kind of Object.keys(normedModules) as NormName[]) {
        if (!folded[normedModules[kind][0]]) bound[kind] = upload(norms[kind], [c.hiddenSize]);
      }
      for (const kind of extraVectors(c)) {
        const vector = await weights.read({ kind, layer });
        bound[kind] = upload(vector, [vector.length]);
      }
      for (const module of biasedModules(c)) {
        const vector = await weights.read({ kind: 'bias', layer, module });
        const bias = vector.slice();
        rotateRows(bias, 1, bias.length, basis.modules[module].output);
        bound[`${module}.bias`] = upload(bias, [bias.length]);
      }
      for (const module of moduleNames) {
        Object.assign(bound, await convert.projection(layer, module, folded[module]));
        // One is read while the one before is converted: no more than two are in memory.
        await before;
        before = runtime.sync();
        before.catch(() => {}); // it is awaited, but maybe later than it fails
      }
      layers.push(bound);
      foldedNorms.push(folded);
      advance();
    }
    await before;
    const head = await convert.head(embedding);
    // Each holds on to the memory of its largest run.
    for (const p of programs) runtime.release(p);
    advance();
    return { embedding, layers, head };
  };

  const { cache } = options;
  const recipe = cache && conversionRecipe(c, basis, training);
  const kept = recipe && (await cache.load(recipe));
  let converted = kept && sortViews(kept, c.layers);
  if (converted) {
    for (let layer = 0; layer < c.layers; layer++) {
      foldedNorms.push((await readNorms(weights, basis, layer)).folded);
    }
  } else {
    converted = await convertAll();
    if (recipe) await cache.save(recipe, nameViews(converted));
  }
  const local = localRope(c);
  const localTables = local && ropeTables(local, tableRows);
  // Bound behind what all layers share, so that these win.
  const localViews: Record<string, View> = localTables
    ? { cos: upload(localTables.cos, [tableRows, half]), sin: upload(localTables.sin, [tableRows, half]) }
    : {};
  const layers = converted.layers.map((own, layer) => (windowOf(c, layer) ? { ...own, ...localViews } : own));
  return {
    runtime,
    config: c,
    basis,
    training,
    ...converted,
    layers,
    shared,
    iota: upload(
      Float32Array.from({ length: positions }, (_, i) => i),
      [positions],
    ),
    positions,
    foldedNorms,
  };
}
