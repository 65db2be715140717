// How a site's matrix enters a program: the frozen product in its precision, plus the adapter's two thin products.
// The names of the inputs made here are the names under which `weights.ts` and `adapterImage.ts` bind buffers.
import { addmm, input, int8Linear, matmul, mul, type Value } from '../graph/index.ts';
import { type LlamaConfig, type Projection, type SiteName, siteShape } from '../models/index.ts';
import { type Basis, blockInput } from '../quant/index.ts';

export interface ProjectionOptions {
  /** Total rank of the site's adapted modules; 0: no adapter here. */
  rank: number;
  /** A mask of 0 and 1 / (1 - p) is multiplied to the adapter's input. */
  dropout?: boolean;
  /** A gradient will be asked for. */
  training?: boolean;
}

/** One value per rotation matrix in a program, shared by all its projections. */
export class RotationInputs {
  private readonly made = new Map<number, Value>();
  get(block: number): Value {
    let v = this.made.get(block);
    if (!v) {
      v = blockInput(block);
      this.made.set(block, v);
    }
    return v;
  }
}

function frozen(x: Value, c: LlamaConfig, basis: Basis, site: SiteName, training: boolean, r: RotationInputs): Value {
  const shape = siteShape(c, site);
  if (basis.precision === 'fp32') return matmul(x, input(`${site}.w`, [shape.out, shape.in]), { transB: true });
  const spec = basis.sites[site];
  const matrix = {
    w: input(`${site}.w`, [shape.in, shape.out], 'int8'),
    scale: input(`${site}.scale`, [shape.out]),
  };
  const options = {
    ...(spec.rotateInput > 1 ? { rotateInput: r.get(spec.rotateInput) } : {}),
    ...(spec.peak > 0 ? { peak: spec.peak } : {}),
  };
  if (!training) return int8Linear(x, matrix, options);
  const { block, columns } = spec.rotateGrad;
  const backward = {
    int8: { w: input(`${site}.wT`, [shape.out, shape.in], 'int8'), scale: input(`${site}.scaleT`, [shape.in]) },
    ...(block > 1 ? { rotation: r.get(block), columns } : {}),
  };
  return int8Linear(x, matrix, { ...options, backward });
}

export function projection(
  c: LlamaConfig,
  basis: Basis,
  site: SiteName,
  options: ProjectionOptions,
  rotations: RotationInputs,
): Projection {
  const shape = siteShape(c, site);
  return (x) => {
    const base = frozen(x, c, basis, site, !!options.training, rotations);
    if (options.rank === 0) return base;
    const seen = options.dropout ? mul(x, input(`${site}.mask`, x.shape)) : x;
    const a = matmul(seen, input(`${site}.A`, [options.rank, shape.in]), { transB: true });
    return addmm(base, a, input(`${site}.B`, [shape.out, options.rank]), { transB: true });
  };
}

/** The norm before a site, unless the precision folds it away. */
export function normInput(c: LlamaConfig, basis: Basis, site: 'qkv' | 'gateUp'): Value | undefined {
  return basis.sites[site].foldsNorm ? undefined : input(`${site}.norm`, [c.hiddenSize]);
}
