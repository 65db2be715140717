export { cutBackward, grad } from './differentiate.ts';
export { firstOutput, toOnnx } from './emit.ts';
export { gradients, notDifferentiable } from './gradients.ts';
export * from './ops.ts';
export { type Program, program, type TrainingPrograms, trainingPrograms } from './program.ts';
export { dtypeBytes, programMemory, type Sizes, symbolSizes } from './programMemory.ts';
export * from './quantisedOps.ts';
export { type Dim, resolveShape, type Shape, ShapeError, scaleDim, showShape } from './shape.ts';
export { type DType, input, inputName, isInput, type Node, scalar, topological, type Value } from './value.ts';
