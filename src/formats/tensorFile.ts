// What every weights file looks like to the rest of the program: named tensors, read as float32, some rows at a time.

export interface TensorInfo {
  name: string;
  /** As the file calls it: 'F32', 'BF16', 'I64', 'BOOL', ... or a ggml block type such as 'Q4_1'. */
  dtype: string;
  /** Row-major, outermost dimension first, e.g. [out, in] for a linear layer. [] is a scalar. */
  shape: number[];
}

export interface TensorFile {
  /** For error messages, usually the path. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** What the file says about itself beside its tensors; each format narrows the type of the values. */
  readonly metadata: ReadonlyMap<string, unknown>;
  /**
   * Float32 values of rows [rowStart, rowEnd) of a tensor, row-major, into a new array; all rows by default.
   * Rows run along the first dimension. A vector or a scalar is a single row, so a whole read needs no range.
   * Only the bytes of those rows are read. Integers beyond 2^24 and float64 are rounded to float32.
   * @throws HuacayaError TENSOR_NOT_FOUND (names the nearest ones), ROW_RANGE, UNSUPPORTED_DTYPE, TRUNCATED.
   */
  readFloat32(name: string, rowStart?: number, rowEnd?: number): Promise<Float32Array>;
  /** Closes what the file was opened from. */
  close(): Promise<void>;
}

/** A file whose tensors can be had as they are stored, for number formats that span several tensors. */
export interface RawTensorFile extends TensorFile {
  /** Bytes that the tensor takes. @throws HuacayaError TENSOR_NOT_FOUND. */
  byteLength(name: string): number;
  /**
   * Bytes [start, end) of a tensor, all by default; perhaps a view of memory that others read too.
   * @throws HuacayaError TENSOR_NOT_FOUND, BYTE_RANGE, TRUNCATED.
   */
  readBytes(name: string, start?: number, end?: number): Promise<Uint8Array>;
}
