export {
  type Basis,
  type BasisOptions,
  basisOf,
  blockName,
  int4BlockFor,
  type ModuleBasis,
  normedPeak,
  type Precision,
  precisions,
  rotationMatrices,
  type Storage,
} from './precision.ts';
export {
  embeddingProgram,
  quantizeHeadProgram,
  quantizeModuleProgram,
  Rotator,
  turnHeadProgram,
} from './prepare.ts';
export { noRotation, type Rotation, rotateColumns, rotateRows, rotates } from './rotation.ts';
