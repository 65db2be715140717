export {
  type Basis,
  basisOf,
  blockName,
  normedPeak,
  type Precision,
  precisions,
  rotationMatrices,
  type SiteBasis,
} from './precision.ts';
export { blockInput, quantizeHeadProgram, quantizeSiteProgram, rotateEmbeddingProgram } from './prepare.ts';
export { noRotation, type Rotation, rotateColumns, rotateRows, rotates } from './rotation.ts';
