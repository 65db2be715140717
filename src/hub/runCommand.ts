// Runs a program of the user's and keeps the end of what it says; replaced in tests.
import { spawn } from 'node:child_process';

export interface CommandResult {
  /** Exit status; null when the program was killed by a signal. */
  code: number | null;
  /** The last 64 KiB of each stream. */
  stdout: string;
  stderr: string;
  /** True when there is no such program. */
  missing: boolean;
}

export type RunCommand = (
  command: string,
  args: readonly string[],
  options: { signal?: AbortSignal },
) => Promise<CommandResult>;

const KEEP = 64 * 1024;

/** No shell is involved. Rejects with the signal's reason when it is aborted, after the program has ended. */
export const runCommand: RunCommand = (command, args, { signal }) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true });
    const kill = () => child.kill();
    if (signal?.aborted) kill();
    signal?.addEventListener('abort', kill);
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        said[stream] = (said[stream] + text).slice(-KEEP);
      });
    }
    const finish = (result: Pick<CommandResult, 'code' | 'missing'>) => {
      signal?.removeEventListener('abort', kill);
      if (signal?.aborted) reject(signal.reason);
      else resolve({ ...said, ...result });
    };
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'EACCES') finish({ code: null, missing: true });
      else reject(error);
    });
    // 127 and 9009 are how a shim (pyenv, the Windows store) says that there is no such program.
    child.on('close', (code) => finish({ code, missing: code === 127 || code === 9009 }));
  });
