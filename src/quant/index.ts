export { floatArrayToHalf } from './half.ts';
export { type NBitsCodes, nBitsBlock, nBitsShape, nBitsWidth } from './nBits.ts';
export { emptyNBits, packNBits, packRows, withoutMeans } from './packNBits.ts';
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
  w4a8BlockFor,
} from './precision.ts';
export {
  embeddingProgram,
  quantizeHeadProgram,
  quantizeInt4Program,
  quantizeModuleProgram,
  Rotator,
  turnHeadProgram,
} from './prepare.ts';
export { blockFor, hadamard, noRotation, type Rotation, rotateColumns, rotateRows, rotates } from './rotation.ts';
