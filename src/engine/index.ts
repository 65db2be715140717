export {
  type Bindings,
  type CompiledProgram,
  type DeviceBuffer,
  elementCount,
  engineError,
  type HostArray,
  type Runtime,
  type RuntimeInfo,
  type View,
  view,
} from './runtime.ts';
