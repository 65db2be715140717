// The messages between a runtime on the main thread and its worker. Plain data, posted in batches.
import type { DType } from '../graph/index.ts';
import type { HostArray, RuntimeInfo } from './runtime.ts';

/** [input or output name, buffer id, offset, shape] */
export type Binding = readonly [string, number, number, readonly number[]];

export type Command =
  | { do: 'alloc'; id: number; dtype: DType; length: number }
  | { do: 'upload'; id: number; data: HostArray }
  | { do: 'free'; id: number }
  | { do: 'release'; program: number }
  | { do: 'write'; id: number; offset: number; data: HostArray }
  | { do: 'run'; program: number; feeds: readonly Binding[]; fetches: readonly Binding[] }
  | { do: 'compile'; reply: number; program: number; name: string; model: Uint8Array }
  | { do: 'read'; reply: number; id: number; offset: number; length: number }
  | { do: 'sync'; reply: number };

export type Reply =
  | { ready: RuntimeInfo }
  | { reply: number; value?: HostArray | { inputs: readonly string[]; outputs: readonly string[] } }
  | { reply: number; error: string };

export interface WorkerOptions {
  threads: number;
}
