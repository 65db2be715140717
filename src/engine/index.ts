export { type ProductKind, productKind } from './products.ts';
export {
  mergeOps,
  type OpProfile,
  type ProfileTotals,
  type ProgramProfile,
  profileTotals,
} from './profile.ts';
export {
  type Bindings,
  type CompiledProgram,
  type DeviceBuffer,
  type DeviceFiles,
  dtypeOf,
  elementCount,
  engineError,
  type FilePart,
  type HostArray,
  hostArrays,
  type Runtime,
  type RuntimeInfo,
  type View,
  view,
} from './runtime.ts';
