// Brings weights to the device in the form that a precision computes with: as they are, or rotated and quantised there.
import { createBreather } from '../base/index.ts';
import {
  type CompiledProgram,
  type DeviceBuffer,
  elementCount,
  type Runtime,
  type View,
  view,
} from '../engine/index.ts';
import { type LlamaConfig, type ModuleName, moduleNames, moduleShape, type WeightSource } from '../models/index.ts';
import { type Basis, quantizeHeadProgram, quantizeModuleProgram, rotateEmbeddingProgram } from '../quant/index.ts';

export interface WeightConverter {
  /** `norm`: weight of the norm that is folded in; not consumed. `matrix` is. */
  projection(module: ModuleName, matrix: Float32Array, norm: Float32Array | undefined): Record<string, View>;
  embedding(): Promise<View>;
  head(embedding: View): Promise<Record<string, View>>;
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
  const breathe = createBreather();
  for (let first = 0; first < o.config.vocabSize; first += tableChunk) {
    const last = Math.min(first + tableChunk, o.config.vocabSize);
    place(await o.weights.read({ kind }, [first, last]), first);
    await breathe();
  }
}

const allocate = (runtime: Runtime, dtype: 'float32' | 'int8', shape: readonly number[]) =>
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
    projection(module, matrix) {
      const shape = moduleShape(c, module);
      return { [`${module}.w`]: view(runtime.upload(matrix), [shape.out, shape.in]) };
    },
    embedding: () => plainTable(o, 'embedding'),
    async head(embedding) {
      const norm = await weights.read({ kind: 'finalNorm' });
      return {
        'head.w': c.tiedHead ? embedding : await plainTable(o, 'head'),
        'head.norm': view(runtime.upload(norm), [c.hiddenSize]),
      };
    },
  };
}

/** Weights rotated and quantised on the device, see `quant`. @param rotations the matrices by name. */
export async function int8Converter(
  o: ConverterOptions,
  basis: Basis,
  rotations: Readonly<Record<string, View>>,
): Promise<WeightConverter> {
  const { runtime, config: c, weights, training } = o;
  const tableShape = [c.vocabSize, c.hiddenSize] as const;
  const alloc = (dtype: 'float32' | 'int8', shape: readonly number[]) => allocate(runtime, dtype, shape);
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
      await readTable(o, 'embedding', (rows, first) => {
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
      const weight = await plainTable(o, 'head');
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
