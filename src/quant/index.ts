export {
  type Basis,
  type BasisOptions,
  basisOf,
  blockName,
  type ModuleBasis,
  normedPeak,
  type Precision,
  precisions,
  rotationMatrices,
  type Storage,
} from './precision.ts';
export {
  blockInput,
  embeddingProgram,
  int4BlockFor,
  quantizeHeadProgram,
  quantizeModuleProgram,
  turnHeadProgram,
} from './prepare.ts';
export { noRotation, type Rotation, rotateColumns, rotateRows, rotates } from './rotation.ts';
