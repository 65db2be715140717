// A runtime that computes nothing and counts memory: loading and training run on it as they would on an engine, and tell
// what they would take. So a plan cannot forget a buffer that the real thing has.
import {
  type CompiledProgram,
  type DeviceBuffer,
  dtypeOf,
  elementCount,
  type HostArray,
  hostArrays,
  type Runtime,
} from '../engine/index.ts';
import { dtypeBytes, inputName, type Program, programMemory, symbolSizes } from '../graph/index.ts';

export interface PlanRuntime extends Runtime {
  /** Bytes in buffers now. */
  readonly bufferBytes: number;
  /** Bytes of intermediate values: what each program keeps, which is what its largest run took; if frugal, the largest. */
  readonly programBytes: number;
  /** The largest sum of both so far. What is given back counts until the engine has caught up. */
  readonly peakBytes: number;
}

/** @param frugal programs keep nothing between runs. */
export function createPlanRuntime(frugal = false): PlanRuntime {
  const programs = new Map<number, { program: Program; bytes: number; seen: Set<string> }>();
  const buffers = new Map<number, number>();
  let [held, leaving, kept, peak, next] = [0, 0, 0, 0, 0];
  const bytesOf = (b: DeviceBuffer) => b.length * dtypeBytes[b.dtype];
  const note = () => {
    peak = Math.max(peak, held + leaving + kept);
  };
  const take = (b: DeviceBuffer): DeviceBuffer => {
    buffers.set(b.id, bytesOf(b));
    held += bytesOf(b);
    note();
    return b;
  };
  const wait = async () => {
    leaving = 0;
  };
  return {
    info: { provider: 'plan', threads: 1, version: '' },
    get bufferBytes() {
      return held;
    },
    get programBytes() {
      return kept;
    },
    get peakBytes() {
      return peak;
    },
    async compile(program: Program): Promise<CompiledProgram> {
      const id = next++;
      programs.set(id, { program, bytes: 0, seen: new Set() });
      return { id, name: program.name, inputs: program.inputs.map(inputName), outputs: Object.keys(program.outputs) };
    },
    release(p) {
      if (!frugal) kept -= programs.get(p.id)?.bytes ?? 0;
      programs.delete(p.id);
    },
    alloc: (dtype, length) => take({ id: next++, dtype, length }),
    upload: (data: HostArray) => take({ id: next++, dtype: dtypeOf(data), length: data.length }),
    free(b) {
      if (!buffers.delete(b.id)) return;
      held -= bytesOf(b);
      leaving += bytesOf(b);
    },
    write() {},
    copy() {},
    prepare: (feeds, fetches) => ({ id: 0, bound: new Set([...Object.keys(feeds), ...Object.keys(fetches)]) }),
    drop() {},
    async read(v) {
      await wait();
      return new hostArrays[v.buffer.dtype](elementCount(v.shape));
    },
    run(compiled, feeds) {
      const p = programs.get(compiled.id)!;
      const sizes = symbolSizes(p.program, feeds);
      const key = Object.values(sizes).join();
      if (p.seen.has(key)) return;
      p.seen.add(key);
      const more = programMemory(p.program, sizes) - p.bytes;
      if (more <= 0) return;
      p.bytes += more;
      kept = frugal ? Math.max(kept, p.bytes) : kept + more;
      note();
    },
    sync: wait,
    countRuns() {},
    profile: async () => [],
    async close() {},
  };
}
