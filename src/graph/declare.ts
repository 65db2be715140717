// What the declarations of ops share.
import { type Shape, ShapeError } from './shape.ts';
import { type Attrs, type DType, makeNode, type Value } from './value.ts';

/** A node with one output. */
export const one = (
  op: string,
  inputs: readonly Value[],
  attrs: Attrs,
  shape: Shape,
  dtype: DType = 'float32',
): Value => makeNode(op, inputs, attrs, [{ dtype, shape }]).outputs[0]!;

/** @throws ShapeError with the detail, unless `ok`. */
export function need(op: string, ok: boolean, detail: () => string): void {
  if (!ok) throw new ShapeError(op, detail());
}
