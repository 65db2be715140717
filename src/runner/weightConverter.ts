// Brings weights to the device in the form that a precision computes with: as they are, or rotated and quantised there.
import {
  type CompiledProgram,
  type DeviceBuffer,
  elementCount,
  type HostArray,
  type Runtime,
  type View,
  view,
} from '../engine/index.ts';
import { type DType, type Program, resolveShape } from '../graph/index.ts';
import {
  type LlamaConfig,
  type ModuleName,
  moduleNames,
  moduleShape,
  readNf4,
  type WeightSource,
} from '../models/index.ts';
import {
  type Basis,
  embeddingProgram,
  quantizeHeadProgram,
  quantizeInt4Program,
  quantizeModuleProgram,
  turnHeadProgram,
} from '../quant/index.ts';
import { rows as rowsOf } from './workspace.ts';

export interface WeightConverter {
  /** `norm`: weight of the norm that is folded in; not consumed. */
  projection(layer: number, module: ModuleName, norm: Float32Array | undefined): Promise<Record<string, View>>;
  /** `table` and, where it is quantised, `tableScale`. */
  embedding(): Promise<Record<string, View>>;
  head(embedding: Readonly<Record<string, View>>): Promise<Record<string, View>>;
}

export interface ConverterOptions {
  runtime: Runtime;
  config: LlamaConfig;
  weights: WeightSource;
  /** Backward weights too. */
  training: boolean;
}

/** Embedding rows converted at a time, so that the main thread stays responsive. */
const tableChunk = 2048;

type Table = 'embedding' | 'head';

/** Streams a [vocab, hidden] table to the device in row chunks; `place` puts each chunk. */
async function readTable(o: ConverterOptions, kind: Table, place: (rows: Float32Array, first: number) => void) {
  for (let first = 0; first < o.config.vocabSize; first += tableChunk) {
    const last = Math.min(first + tableChunk, o.config.vocabSize);
    place(await o.weights.read({ kind }, [first, last]), first);
    // Read faster than converted, the whole table would wait in memory.
    await o.runtime.sync();
  }
}

const allocate = (runtime: Runtime, dtype: DType, shape: readonly number[]) =>
  view(runtime.alloc(dtype, elementCount(shape)), shape);

async function plainTable(o: ConverterOptions, kind: Table): Promise<View> {
  const { vocabSize, hiddenSize } = o.config;
  const whole = allocate(o.runtime, 'float32', [vocabSize, hiddenSize]);
  await readTable(o, kind, (rows, first) => o.runtime.write(whole.buffer, rows, first * hiddenSize));
  return whole;
}

/** Weights as in the file. */
export function plainConverter(o: ConverterOptions): WeightConverter {
  const { runtime, config: c, weights } = o;
  return {
    async projection(layer, module) {
      const shape = moduleShape(c, module);
      const matrix = await weights.read({ kind: 'projection', layer, module });
      return { [`${module}.w`]: view(runtime.upload(matrix), [shape.out, shape.in]) };
    },
    embedding: async () => ({ table: await plainTable(o, 'embedding') }),
    async head({ table }) {
      const norm = await weights.read({ kind: 'finalNorm' });
      return {
        'head.w': c.tiedHead ? table! : await plainTable(o, 'head'),
        'head.norm': view(runtime.upload(norm), [c.hiddenSize]),
      };
    },
  };
}

/** Weights as in the file, but for the projections, whose codes are NF4. */
export function nf4Converter(o: ConverterOptions): WeightConverter {
  const upload = (data: HostArray) => view(o.runtime.upload(data), [data.length]);
  return {
    ...plainConverter(o),
    async projection(layer, module) {
      const { codes, scales } = await readNf4(o.weights, { kind: 'projection', layer, module });
      return { [`${module}.codes`]: upload(codes), [`${module}.scales`]: upload(scales) };
    },
  };
}

/** Weights as in the file, but for the projections, which the device puts into blocks of 4 bits. */
export async function int4Converter(o: ConverterOptions): Promise<WeightConverter> {
  const programs = await compileModules(o.runtime, (module) => quantizeInt4Program(o.config, module));
  return {
    ...plainConverter(o),
    projection: (layer, module) => convertProjection(o, programs.get(module)!, layer, module, {}),
  };
}

interface ModuleProgram {
  source: Program;
  compiled: CompiledProgram;
}

async function compileModules(runtime: Runtime, make: (module: ModuleName) => Program) {
  const programs = new Map<ModuleName, ModuleProgram>();
  for (const module of moduleNames) {
    const source = make(module);
    programs.set(module, { source, compiled: await runtime.compile(source) });
  }
  return programs;
}

/** Room for what a program makes, with so many rows. */
const resultsOf = (runtime: Runtime, p: Program, rows = 0) =>
  Object.fromEntries(
    Object.entries(p.outputs).map(([k, v]) => [k, allocate(runtime, v.dtype, resolveShape(v.shape, { rows }))]),
  );

/** Runs a program that converts a projection. @param feeds what it takes besides `weight` and `norm`. */
async function convertProjection(
  { runtime, config, weights }: ConverterOptions,
  { source, compiled }: ModuleProgram,
  layer: number,
  module: ModuleName,
  feeds: Readonly<Record<string, View>>,
  norm?: Float32Array,
): Promise<Record<string, View>> {
  const shape = moduleShape(config, module);
  const matrix = await weights.read({ kind: 'projection', layer, module });
  const made = resultsOf(runtime, source);
  const temporary: DeviceBuffer[] = [];
  const lend = (data: Float32Array, shapeOf: readonly number[]) => {
    const buffer = runtime.upload(data);
    temporary.push(buffer);
    return view(buffer, shapeOf);
  };
  const all = {
    ...feeds,
    weight: lend(matrix, [shape.out, shape.in]),
    ...(norm ? { norm: lend(norm.slice(), [shape.in]) } : {}),
  };
  runtime.run(compiled, all, made);
  for (const b of temporary) runtime.free(b);
  return Object.fromEntries(Object.entries(made).map(([name, v]) => [`${module}.${name}`, v]));
}

/** Weights rotated and quantised on the device, see `quant`. @param rotations the matrices by name. */
export async function int8Converter(
  o: ConverterOptions,
  basis: Basis,
  rotations: Readonly<Record<string, View>>,
): Promise<WeightConverter> {
  const { runtime, config: c, weights, training } = o;
  const alloc = (dtype: DType, shape: readonly number[]) => allocate(runtime, dtype, shape);
  const programs = await compileModules(runtime, (module) => quantizeModuleProgram(c, basis, module, training));
  const embedding = embeddingProgram(c, basis);
  const convertEmbedding = await runtime.compile(embedding);
  return {
    projection: (layer, module, norm) => convertProjection(o, programs.get(module)!, layer, module, rotations, norm),
    async embedding() {
      const whole = resultsOf(runtime, embedding, c.vocabSize);
      await readTable(o, 'embedding', (rows, first) => {
        const count = rows.length / c.hiddenSize;
        const weight = runtime.upload(rows);
        const part = ([name, v]: [string, View]) => [name, rowsOf(v, first, count)] as const;
        const target = Object.fromEntries(Object.entries(whole).map(part));
        runtime.run(convertEmbedding, { ...rotations, weight: view(weight, [count, c.hiddenSize]) }, target);
        runtime.free(weight);
      });
      return whole;
    },
    async head() {
      const program = await runtime.compile(quantizeHeadProgram(c, basis));
      const norm = view(runtime.upload(await weights.read({ kind: 'finalNorm' })), [c.hiddenSize]);
      const codes = alloc('int8', [c.vocabSize, c.hiddenSize]);
      const scale = alloc('float32', [c.vocabSize, 1]);
      const sums = alloc('float32', [Math.ceil(c.vocabSize / tableChunk), c.hiddenSize]);
      await readTable(o, 'head', (rows, first) => {
        const count = rows.length / c.hiddenSize;
        const weight = runtime.upload(rows);
        runtime.run(
          program,
          { ...rotations, norm, weight: view(weight, [count, c.hiddenSize]) },
          {
            codes: rowsOf(codes, first, count),
            scale: rowsOf(scale, first, count),
            sum: rowsOf(sums, first / tableChunk, 1),
          },
        );
        runtime.free(weight);
      });
      const made: Record<string, View> = { scale: view(scale.buffer, [c.vocabSize]) };
      if (basis.storage === 'twoCopies') {
        made.w = alloc('int8', [c.hiddenSize, c.vocabSize]);
        runtime.run(await runtime.compile(turnHeadProgram(c)), { codes }, { w: made.w });
      }
      if (training || !made.w) made.codes = codes;
      else runtime.free(codes.buffer);
      if (training) {
        const parts = (await runtime.read(sums)) as Float32Array;
        const mean = new Float32Array(c.hiddenSize);
        for (let i = 0; i < parts.length; i++) mean[i % mean.length]! += parts[i]! / c.vocabSize;
        made.mean = view(runtime.upload(mean), [1, c.hiddenSize]);
      }
      runtime.free(norm.buffer);
      runtime.free(sums.buffer);
      await runtime.sync();
      return Object.fromEntries(Object.entries(made).map(([name, v]) => [`head.${name}`, v]));
    },
  };
}
