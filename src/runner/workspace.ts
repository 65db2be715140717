// Device memory that is taken once and used again: named buffers that only ever grow.

import { type DeviceBuffer, elementCount, type Runtime, type View, view } from '../engine/index.ts';
import { type DType, dtypeBytes } from '../graph/index.ts';

export class Workspace {
  private readonly buffers = new Map<string, DeviceBuffer>();
  private readonly runtime: Runtime;

  constructor(runtime: Runtime) {
    this.runtime = runtime;
  }

  /** A view of the buffer `name`, from its start. What it held before is lost when it has to grow. */
  get(name: string, shape: readonly number[], dtype: DType = 'float32'): View {
    const length = elementCount(shape);
    let buffer = this.buffers.get(name);
    if (!buffer || buffer.length < length) {
      if (buffer) this.runtime.free(buffer);
      buffer = this.runtime.alloc(dtype, length);
      this.buffers.set(name, buffer);
    }
    return view(buffer, shape);
  }

  /** Memory held, in bytes. */
  get bytes(): number {
    return [...this.buffers.values()].reduce((n, b) => n + b.length * dtypeBytes[b.dtype], 0);
  }

  release(): void {
    for (const b of this.buffers.values()) this.runtime.free(b);
    this.buffers.clear();
  }
}

/** Rows [start, start + count) of a view, along its first axis. */
export function rows(v: View, start: number, count: number): View {
  const rest = v.shape.slice(1);
  return view(v.buffer, [count, ...rest], v.offset + start * elementCount(rest));
}
