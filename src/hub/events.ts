// What a download tells its caller while it works; the command line turns these into a progress bar, tests into lists.

export type ModelSource = 'hub' | 'pip';

export type HubEvent =
  /** A source is about to be tried. `reason` says why it is not the one before it. */
  | { type: 'source'; source: ModelSource; from: string; reason?: string }
  /**
   * Bytes of one file on the disk so far; the last one has `received === total`. May go back when a file is started again.
   * `bytesPerSecond` is there while bytes arrive.
   */
  | { type: 'progress'; file: string; received: number; total: number; bytesPerSecond?: number }
  /**
   * All files of one download together, bytes that were on the disk before included. `bytesPerSecond` counts the network only
   * and is absent until it can be told; seconds left are (total - received) / bytesPerSecond. The last one has `received === total`.
   */
  | { type: 'total'; received: number; total: number; filesDone: number; files: number; bytesPerSecond?: number }
  /** The file's hash is the expected one. */
  | { type: 'verified'; file: string }
  /** Something worth a line: a retry, a restart, waiting for another process. */
  | { type: 'note'; message: string };

export type OnEvent = (event: HubEvent) => void;

/** Reports progress at most every `everyMs`, but always the last byte. */
export function progressReporter(onEvent: OnEvent, file: string, total: number, everyMs = 100) {
  let last = 0;
  return (received: number) => {
    const now = Date.now();
    if (received < total && now - last < everyMs) return;
    last = now;
    onEvent({ type: 'progress', file, received, total });
  };
}
