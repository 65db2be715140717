// What the rest of the project knows of a device: buffers that live there, programs compiled for it, and a queue of
// runs. Commands are carried out in order; only `read` and `sync` wait.
import { HuacayaError } from '../base/index.ts';
import type { DType, Program } from '../graph/index.ts';
import type { ProgramProfile } from './profile.ts';

/** Uint16Array: the bits of float16. */
export type HostArray = Float32Array | Uint16Array | BigInt64Array | Int32Array | Int8Array | Uint8Array;

export const dtypeOf = (data: HostArray): DType =>
  data instanceof Float32Array
    ? 'float32'
    : data instanceof BigInt64Array
      ? 'int64'
      : data instanceof Int32Array
        ? 'int32'
        : data instanceof Int8Array
          ? 'int8'
          : data instanceof Uint16Array
            ? 'float16'
            : 'uint8';

/** The host array of each type. */
export const hostArrays = {
  float32: Float32Array,
  float16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int8: Int8Array,
  uint8: Uint8Array,
} as const;

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

/** Inputs of a program that never change, as parts of a file: kernels lay them out anew, or map the file. */
export interface ConstantFile {
  /** Absolute. */
  path: string;
  /** Offset and length in bytes, by name of the input. */
  parts: Readonly<Record<string, { offset: number; length: number }>>;
}

/** The same for a few kilobytes: they go into the program. */
export interface InlineConstants {
  data: Readonly<Record<string, HostArray>>;
}

export interface PreparedBindings {
  readonly id: number;
  /** Names of inputs and outputs that are bound. */
  readonly bound: ReadonlySet<string>;
}

export interface RuntimeInfo {
  provider: string;
  threads: number;
  version: string;
}

/** A buffer's place in a file. */
export interface FilePart {
  readonly dtype: DType;
  /** Elements. */
  readonly length: number;
  /** First byte. */
  readonly offset: number;
  /** CRC-32 of all bytes. */
  readonly crc: number;
}

/**
 * Buffers to files and back without passing through the host. `file` is an open file's descriptor; it may be closed when
 * the promise has settled, however that ended.
 */
export interface DeviceFiles {
  /**
   * Makes a buffer of each part, after everything queued before.
   * @throws HuacayaError BAD_VIEW_FILE when the file ends early, cannot be read or fails a checksum; ENGINE.
   */
  load(file: number, parts: readonly FilePart[]): Promise<DeviceBuffer[]>;
  /**
   * Writes whole buffers, after everything queued before. @returns the CRC-32 of each.
   * @throws HuacayaError ENGINE, or the system's error (with `code`, e.g. ENOSPC) when the file cannot be written.
   */
  store(file: number, parts: readonly { buffer: DeviceBuffer; offset: number }[]): Promise<number[]>;
}

export interface Runtime {
  readonly info: RuntimeInfo;
  /** Where the engine can reach files; in a browser it cannot. */
  readonly files?: DeviceFiles;
  /** @throws HuacayaError ENGINE when the provider refuses the program. */
  /** @param constants inputs that are part of the program; a file with them may go once it is compiled. */
  compile(program: Program, constants?: ConstantFile | InlineConstants): Promise<CompiledProgram>;
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
  /** Copies within the device. The views have the same shape and do not overlap. */
  copy(from: View, to: View): void;
  /**
   * Queues a run. Every input is bound in `feeds` or `prepared`; outputs not bound in `fetches` or there are not computed
   * into memory.
   */
  run(program: CompiledProgram, feeds: Bindings, fetches: Bindings, prepared?: PreparedBindings): void;
  /** Bindings that many runs share, sent to the device once. Their buffers must stay until `drop`. */
  prepare(feeds: Bindings, fetches: Bindings): PreparedBindings;
  drop(prepared: PreparedBindings): void;
  /** Resolves when all queued work is done. @throws HuacayaError ENGINE if any of it failed. */
  sync(): Promise<void>;
  /**
   * Whether the runs queued from here on count in the profile; at first they do. For warm-up, and for work that is not
   * to be measured. Without profiling it has no effect.
   */
  countRuns(on: boolean): void;
  /**
   * Ends profiling, after everything queued before, and tells where the counted runs spent their time; empty without
   * profiling. Programs released before are included. @throws HuacayaError ENGINE when a trace cannot be read.
   */
  profile(): Promise<ProgramProfile[]>;
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
