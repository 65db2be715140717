export {
  type Basis,
  basisOf,
  blockName,
  type ModuleBasis,
  normedPeak,
  type Precision,
  precisions,
  rotationMatrices,
} from './precision.ts';
export { blockInput, quantizeHeadProgram, quantizeModuleProgram, rotateEmbeddingProgram } from './prepare.ts';
export { noRotation, type Rotation, rotateColumns, rotateRows, rotates } from './rotation.ts';
