// The messages between a runtime on the main thread and its worker. Plain data, posted in batches.
import type { DType } from '../graph/index.ts';
import type { ProgramProfile } from './profile.ts';
import type { FilePart, HostArray, RuntimeInfo } from './runtime.ts';

/** [input or output name, buffer id, offset, shape] */
export type Binding = readonly [string, number, number, readonly number[]];

export type Command =
  | { do: 'alloc'; id: number; dtype: DType; length: number }
  | { do: 'upload'; id: number; data: HostArray }
  | { do: 'free'; id: number }
  | { do: 'release'; program: number }
  | { do: 'write'; id: number; offset: number; data: HostArray }
  | { do: 'run'; program: number; feeds: readonly Binding[]; fetches: readonly Binding[]; prepared?: number }
  | { do: 'prepare'; id: number; feeds: readonly Binding[]; fetches: readonly Binding[] }
  | { do: 'drop'; id: number }
  | {
      do: 'compile';
      reply: number;
      program: number;
      name: string;
      model: Uint8Array;
      folder?: string;
      profile?: boolean;
    }
  | { do: 'read'; reply: number; id: number; offset: number; length: number }
  | { do: 'copy'; from: number; fromOffset: number; to: number; toOffset: number; length: number }
  | { do: 'countRuns'; on: boolean }
  | { do: 'profile'; reply: number }
  | { do: 'loadFile'; reply: number; file: number; parts: readonly (FilePart & { id: number })[] }
  | { do: 'storeFile'; reply: number; file: number; parts: readonly { id: number; offset: number }[] }
  | { do: 'sync'; reply: number };

/** Instead of a batch: what is running is finished, what is queued is not begun, and the worker ends. */
export const lastMessage = 'end';

export type Reply =
  | { ready: RuntimeInfo }
  | { reply: number; value?: HostArray | { inputs: readonly string[]; outputs: readonly string[] } | ProgramProfile[] }
  | { reply: number; value: number[] | FileFailure }
  | { reply: number; error: string };

/** What is wrong with a file is no failure of the engine: it goes on as if nothing had been asked. */
export interface FileFailure {
  message: string;
  /** The system's, e.g. ENOSPC. */
  code?: string | undefined;
}

export interface WorkerOptions {
  threads: number;
  /** See `RuntimeOptions.frugal`. */
  frugal: boolean;
  /** A folder for traces: programs compiled with `profile` are profiled. */
  profile?: string;
}
