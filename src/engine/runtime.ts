// What the rest of the project knows of a device: buffers that live there, programs compiled for it, and a queue of
// runs. Commands are carried out in order; only `read` and `sync` wait.
import { HuacayaError } from '../base/index.ts';
import type { DType, Program } from '../graph/index.ts';

export type HostArray = Float32Array | BigInt64Array | Int8Array | Uint8Array;

export const dtypeOf = (data: HostArray): DType =>
  data instanceof Float32Array
    ? 'float32'
    : data instanceof BigInt64Array
      ? 'int64'
      : data instanceof Int8Array
        ? 'int8'
        : 'uint8';

export interface DeviceBuffer {
  readonly id: number;
  readonly dtype: DType;
  /** Capacity in elements. */
  readonly length: number;
}

/** A dense part of a buffer, seen with a shape. */
export interface View {
  readonly buffer: DeviceBuffer;
  /** First element. */
  readonly offset: number;
  readonly shape: readonly number[];
}

export interface CompiledProgram {
  readonly id: number;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export type Bindings = Readonly<Record<string, View>>;

export interface RuntimeInfo {
  provider: string;
  threads: number;
  version: string;
}

export interface Runtime {
  readonly info: RuntimeInfo;
  /** @throws HuacayaError ENGINE when the provider refuses the program. */
  compile(program: Program): Promise<CompiledProgram>;
  /** Gives a compiled program back. onnxruntime-node keeps some of its memory (ort#25325): not for use in a loop. */
  release(program: CompiledProgram): void;
  /** Reserves memory (not zeroed on every provider). */
  alloc(dtype: DType, length: number): DeviceBuffer;
  /** Moves a host array to the device; the array must not be used afterwards (its memory is handed over, not copied). */
  upload(data: HostArray): DeviceBuffer;
  free(buffer: DeviceBuffer): void;
  /** Copies host data into a buffer, from element `offset` on. */
  write(buffer: DeviceBuffer, data: HostArray, offset?: number): void;
  /** Copies a view back, after everything queued before it. @throws HuacayaError ENGINE if any of that failed. */
  read(view: View): Promise<HostArray>;
  /** Queues a run. Every input is bound in `feeds`; outputs not bound in `fetches` are not computed into memory. */
  run(program: CompiledProgram, feeds: Bindings, fetches: Bindings): void;
  /** Resolves when all queued work is done. @throws HuacayaError ENGINE if any of it failed. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export const elementCount = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** A view of `buffer` from row `start`; checked, so that a planning mistake cannot write over a neighbour. */
export function view(buffer: DeviceBuffer, shape: readonly number[], offset = 0): View {
  const end = offset + elementCount(shape);
  if (!(offset >= 0 && end <= buffer.length)) {
    throw new Error(`internal: view [${shape}] at ${offset} of a buffer of ${buffer.length}`);
  }
  return { buffer, offset, shape };
}

export function engineError(message: string, cause?: unknown): HuacayaError {
  return new HuacayaError('ENGINE', message, { cause });
}
