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
  type ConstantFile,
  type DeviceBuffer,
  type DeviceFiles,
  dtypeOf,
  elementCount,
  engineError,
  type FilePart,
  type HostArray,
  hostArrays,
  type InlineConstants,
  type PreparedBindings,
  type Runtime,
  type RuntimeInfo,
  type View,
  view,
} from './runtime.ts';
