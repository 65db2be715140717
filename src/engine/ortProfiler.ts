// The worker's side of profiling: which sessions are profiled, which of their runs count, and what their traces say.
import { createReadStream } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { mergePrograms, type ProgramProfile } from './profile.ts';
import { summariseTrace } from './traceSummary.ts';

/** The runs of one profiled session. */
export interface Trace {
  readonly program: string;
  /** Beginning of the file's name; onnxruntime adds the time. */
  readonly prefix: string;
  /** Wall-clock seconds of each run; undefined where it does not count. */
  readonly runs: (number | undefined)[];
}

async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of createReadStream(path, 'utf8')) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  yield rest;
}

export class Profiler {
  /** Whether runs count from here on. */
  counting = true;
  private readonly folder: string;
  private readonly open = new Map<Trace, InferenceSession>();
  private readonly done: ProgramProfile[] = [];
  private traces = 0;
  private failure: Error | undefined;

  /** @param folder for traces; whoever made it removes it. */
  constructor(folder: string) {
    this.folder = folder;
  }

  start(program: string): Trace {
    return { program, prefix: `${this.traces++}-`, runs: [] };
  }

  options(trace: Trace): InferenceSession.SessionOptions {
    return { enableProfiling: true, profileFilePrefix: join(this.folder, trace.prefix) };
  }

  opened(trace: Trace, session: InferenceSession): void {
    this.open.set(trace, session);
  }

  ran(trace: Trace, seconds: number): void {
    // After the end there is nobody left who would empty this.
    if (this.open.has(trace)) trace.runs.push(this.counting ? seconds : undefined);
  }

  /** Sums up and forgets the trace of a session, which then goes on without profiling. */
  async end(trace: Trace): Promise<void> {
    const session = this.open.get(trace);
    this.open.delete(trace);
    if (!session) return;
    try {
      session.endProfiling();
      const files = (await readdir(this.folder))
        .filter((f) => f.startsWith(trace.prefix))
        .map((f) => join(this.folder, f));
      if (trace.runs.some((seconds) => seconds !== undefined)) this.done.push(await this.sumUp(trace, files[0]));
      await Promise.all(files.map((f) => rm(f, { force: true })));
    } catch (cause) {
      // A session may end long before anybody asks, and its work is not to blame.
      this.failure ??= new Error(`the trace of ${trace.program} cannot be read: ${(cause as Error).message}`);
    }
    trace.runs.length = 0;
  }

  /** Ends all profiling. @throws Error when a trace could not be read. */
  async finish(): Promise<ProgramProfile[]> {
    for (const trace of [...this.open.keys()]) await this.end(trace);
    if (this.failure) throw this.failure;
    return mergePrograms(this.done);
  }

  private async sumUp({ program, runs }: Trace, file: string | undefined): Promise<ProgramProfile> {
    if (file === undefined) throw new Error('there is none');
    const found = await summariseTrace(linesOf(file), (run) => runs[run] !== undefined);
    const counted = runs.filter((s) => s !== undefined);
    const held = runs.slice(0, found.runs).filter((s) => s !== undefined);
    const seconds = held.reduce((a, b) => a + b, 0);
    return { program, runs: held.length, lost: counted.length - held.length, seconds, ops: found.ops };
  }
}
