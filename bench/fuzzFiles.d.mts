interface Rng {
  below(n: number): number;
  fork(name: string): Rng;
}

export interface FuzzTarget {
  /** One damaged file. */
  make(rng: Rng): Uint8Array;
  /** Opens it and reads a little. */
  open(bytes: Uint8Array): Promise<unknown>;
}

export function mutate(
  bytes: Uint8Array,
  rng: Rng,
  options?: { focus?: number; others?: Uint8Array[]; words?: Uint8Array[] },
): Uint8Array;
export function writeZip(entries: [name: string, data: Uint8Array][]): Uint8Array;
export function createTargets(
  room: object,
  fixture: (path: string) => Uint8Array,
): Promise<Record<'safetensors' | 'gguf' | 'torch' | 'zip' | 'sentencepiece', FuzzTarget>>;
export const fuzzLimits: { time: number; buffers: number; heap: number };
export function runCases(
  name: string,
  target: FuzzTarget,
  options: {
    createRng: (seed: number) => Rng;
    seed: number;
    from?: number;
    count: number;
    isExpected: (error: unknown) => boolean;
    onCase?: (i: number) => void;
  },
): Promise<number>;
