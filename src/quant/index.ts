export { type Basis, basisOf, type Precision, precisions, rotationBlocks, type SiteBasis } from './precision.ts';
export {
  quantizeHeadProgram,
  quantizeSiteProgram,
  rotateEmbeddingProgram,
  rotationInput,
  rotationName,
} from './prepare.ts';
export { blockFor, hadamard, rotateColumns, rotateRows } from './rotation.ts';
