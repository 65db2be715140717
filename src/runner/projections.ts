// How a projection enters a program: the frozen product in its precision, plus the adapter's two thin products.
// The names of the inputs made here are the names under which `residentModel.ts` and `adapterImage.ts` bind buffers.
import {
  add,
  addmm,
  expandBlocks4,
  input,
  int8Linear,
  matmul,
  mul,
  type Nf4Matrix,
  nf4Linear,
  rotateBlocks,
  unpackInt4,
  type Value,
} from '../graph/index.ts';
import {
  biasedModules,
  type LlamaConfig,
  type ModuleName,
  moduleShape,
  nf4Block,
  type Projection,
} from '../models/index.ts';
import { type Basis, int4BlockFor, Rotator, w4a8BlockFor } from '../quant/index.ts';

/** Rank per module; 0 where nothing is adapted. */
export type ModuleRanks = Readonly<Record<ModuleName, number>>;

export interface ProjectionOptions {
  ranks: ModuleRanks;
  /** A mask of 0 and 1 / (1 - p) is multiplied to each adapter's input. */
  dropout?: boolean;
  /** A gradient will be asked for. */
  training?: boolean;
}

/** The projections of one program; rotation matrices are inputs that they share. */
export function projections(c: LlamaConfig, basis: Basis, options: ProjectionOptions) {
  const rotator = new Rotator();
  const rotation = (block: number): Value => rotator.block(block);

  /** What comes out of a norm as the plain model has it, for the modules that want it so; made once for all of them. */
  const restored = new Map<Value, Value>();
  const restore = (module: ModuleName, x: Value): Value => {
    if (!basis.modules[module].restoresNorm) return x;
    const made =
      restored.get(x) ??
      mul(rotator.rotate(x, basis.residual, { again: true }), input(normBefore(module), [c.hiddenSize]));
    restored.set(x, made);
    return made;
  };

  const codes = (module: ModuleName): Value => {
    const shape = moduleShape(c, module);
    if (basis.storage !== 'w4a8') return input(`${module}.w`, [shape.in, shape.out], 'int8');
    const packed = input(`${module}.packed`, [shape.in / 2, shape.out], 'uint8');
    return unpackInt4(packed, input(`${module}.steps`, [shape.in / w4a8BlockFor(shape.in), shape.out], 'int8'));
  };

  const nf4 = (module: ModuleName): Nf4Matrix => {
    const shape = moduleShape(c, module);
    const size = shape.out * shape.in;
    return {
      codes: input(`${module}.codes`, [Math.ceil(size / 2)], 'uint8'),
      scales: input(`${module}.scales`, [Math.ceil(size / nf4Block)]),
      ...shape,
      block: nf4Block,
    };
  };

  const int4 = (module: ModuleName) => {
    const shape = moduleShape(c, module);
    const blocks = [shape.out, shape.in / int4BlockFor(shape.in)];
    return {
      packed: input(`${module}.packed`, [shape.out / 2, shape.in], 'uint8'),
      scale: input(`${module}.scale`, blocks, 'float16'),
      offset: input(`${module}.offset`, blocks, 'float16'),
    };
  };

  const frozen = (module: ModuleName, x: Value): Value => {
    const shape = moduleShape(c, module);
    if (basis.precision === 'int4') return matmul(x, expandBlocks4(int4(module)), { transB: true });
    if (basis.precision === 'nf4') return nf4Linear(x, nf4(module));
    if (basis.precision === 'fp32') return matmul(x, input(`${module}.w`, [shape.out, shape.in]), { transB: true });
    const spec = basis.modules[module];
    const matrix = { w: codes(module), scale: input(`${module}.scale`, [shape.out]) };
    const forward = {
      ...(spec.rotateInput > 1 ? { rotateInput: rotation(spec.rotateInput) } : {}),
      ...(spec.peak > 0 ? { peak: spec.peak } : {}),
    };
    if (basis.storage !== 'twoCopies') {
      const own = options.training ? { backward: 'transposed' as const } : {};
      const y = int8Linear(x, matrix, { ...forward, ...own });
      return spec.rotateOutput > 1 ? rotateBlocks(y, rotation(spec.rotateOutput)) : y;
    }
    if (!options.training) return int8Linear(x, matrix, forward);
    const int8 = {
      w: input(`${module}.wT`, [shape.out, shape.in], 'int8'),
      scale: input(`${module}.scaleT`, [shape.in]),
    };
    const backward = { int8, ...(spec.rotateGrad > 1 ? { rotation: rotation(spec.rotateGrad) } : {}) };
    return int8Linear(x, matrix, { ...forward, backward });
  };

  return (module: ModuleName): Projection => {
    const shape = moduleShape(c, module);
    const rank = options.ranks[module];
    return (normed) => {
      const x = restore(module, normed);
      const product = frozen(module, x);
      const biased = biasedModules(c).includes(module);
      const base = biased ? add(product, input(`${module}.bias`, [shape.out])) : product;
      if (rank === 0) return base;
      const seen = options.dropout ? mul(x, input(`${module}.mask`, x.shape)) : x;
      const a = matmul(seen, input(`${module}.A`, [rank, shape.in]), { transB: true });
      return addmm(base, a, input(`${module}.B`, [shape.out, rank]), { transB: true });
    };
  };
}

/** The norm before modules, unless the precision folds it away or its weight comes later. */
export function normInput(c: LlamaConfig, basis: Basis, name: NormName): Value | undefined {
  const { foldsNorm, restoresNorm } = basis.modules[normedModules[name][0]];
  return foldsNorm || restoresNorm ? undefined : input(name, [c.hiddenSize]);
}

/** The norms of a layer, and the modules that see what comes out of them. */
export const normedModules = {
  attentionNorm: ['q_proj', 'k_proj', 'v_proj'],
  mlpNorm: ['gate_proj', 'up_proj'],
} as const satisfies Record<string, readonly ModuleName[]>;
export type NormName = keyof typeof normedModules;

const normBefore = (module: ModuleName): NormName =>
  (normedModules.attentionNorm as readonly ModuleName[]).includes(module) ? 'attentionNorm' : 'mlpNorm';
