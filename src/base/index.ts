export { createBreather } from './breathe.ts';
export { type ByteSource, checkRange, memorySource } from './byteSource.ts';
export { type ErrorDetails, HuacayaError, invariant, usageError } from './errors.ts';
export { bfloatArrayToFloat, floatToHalf, halfArrayToFloat, halfToFloat } from './half.ts';
export { nearNames } from './nearNames.ts';
export { type ProxySettings, proxyAddress } from './proxy.ts';
export { createRng, type Rng } from './rng.ts';
