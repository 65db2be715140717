// Which kernels are matrix products, and how much arithmetic they did, from the shapes in a trace.
// Kernels: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md

/** What a product multiplies in: 'int8' runs on 8-bit dot products, 'float' on fused multiply-adds. */
export type ProductKind = 'float' | 'int8';

const products: Readonly<Record<string, ProductKind>> = {
  MatMul: 'float',
  FusedMatMul: 'float',
  Gemm: 'float',
  FusedGemm: 'float',
  // 4-bit weights, whose activations stay in floats unless an attribute that no trace shows asks for less.
  MatMulNBits: 'float',
  MatMulBnb4: 'float',
  MatMulInteger: 'int8',
  MatMulIntegerToFloat: 'int8',
  DynamicQuantizeMatMul: 'int8',
  QLinearMatMul: 'int8',
};

/** The kind of a matrix product; undefined for every other op. */
export const productKind = (op: string): ProductKind | undefined =>
  Object.hasOwn(products, op) ? products[op] : undefined;

type Dims = readonly number[];

/**
 * 2 M N K of a matrix product with onnxruntime's input and output shapes; 0 where they do not tell, and for other ops.
 * Which operands are transposed is not in a trace, and need not be: M and N are the last axes of the result, and K is
 * what remains of the first operand.
 */
export function productFlops(op: string, inputs: readonly Dims[], output: Dims | undefined): number {
  const a = inputs[0];
  if (!productKind(op) || !output || !a || a.length === 0) return 0;
  const mayTranspose = op === 'FusedMatMul' || op === 'Gemm' || op === 'FusedGemm';
  let inner = a.at(-1)!;
  if (mayTranspose && a.length >= 2) {
    if (output.length < 2) return 0;
    inner = (a.at(-2)! * a.at(-1)!) / output.at(-2)!;
    if (!Number.isInteger(inner)) return 0;
  }
  const flops = 2 * inner * output.reduce((x, y) => x * y, 1);
  return Number.isSafeInteger(flops) ? flops : 0;
}
