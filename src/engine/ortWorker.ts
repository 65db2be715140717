// The worker thread in which onnxruntime lives: its run() blocks the thread that calls it, and here that hurts nobody.
import { parentPort, workerData } from 'node:worker_threads';
import * as ort from 'onnxruntime-node';
import { type DType, firstOutput } from '../graph/index.ts';
import { discard } from './discard.ts';
import { FileProblem, readParts, writeParts } from './fileTransfer.ts';
import { runInto, skipOutputCopies } from './ortOutputs.ts';
import { Profiler, type Trace } from './ortProfiler.ts';
import { sessionOptions } from './ortSettings.ts';
import {
  type Binding,
  type Command,
  type FileFailure,
  lastMessage,
  type Reply,
  type WorkerOptions,
} from './protocol.ts';
import { dtypeOf, type HostArray, hostArrays } from './runtime.ts';

const { threads, frugal, profile } = workerData as WorkerOptions;
const port = parentPort!;
skipOutputCopies();
const first = new ort.Tensor('float32', new Float32Array(1), [1]);
const buffers = new Map<number, { dtype: DType; data: HostArray }>();
const programs = new Map<number, { name: string; session: ort.InferenceSession; trace?: Trace }>();
const prepared = new Map<number, { feeds: Record<string, ort.Tensor>; fetches: Record<string, ort.Tensor> }>();
const profiler = profile === undefined ? undefined : new Profiler(profile);
/** The first failure since the last reply that could carry one. */
let failure: string | undefined;

const housekeeping: ReadonlySet<Command['do']> = new Set(['alloc', 'upload', 'free', 'release', 'prepare', 'drop']);

function bufferOf(id: number, use = '') {
  const held = buffers.get(id);
  if (!held) throw new Error(`buffer ${id}${use} is gone`);
  return held;
}

function tensors(bindings: readonly Binding[]): Record<string, ort.Tensor> {
  const made: Record<string, ort.Tensor> = {};
  for (const [name, id, offset, shape] of bindings) {
    const held = bufferOf(id, ` bound to ${name}`);
    const length = shape.reduce((a, b) => a * b, 1);
    made[name] = new ort.Tensor(held.dtype, held.data.subarray(offset, offset + length) as Float32Array, shape);
  }
  return made;
}

async function run(command: Command & { do: 'run' }): Promise<void> {
  const program = programs.get(command.program);
  if (!program) throw new Error(`program ${command.program} is gone`);
  try {
    const shared = command.prepared === undefined ? undefined : prepared.get(command.prepared);
    const feeds = { ...shared?.feeds, ...tensors(command.feeds) };
    const fetches = { ...shared?.fetches, ...tensors(command.fetches) };
    const begin = program.trace && performance.now();
    await runInto(program.session, feeds, fetches, first);
    if (program.trace) profiler!.ran(program.trace, (performance.now() - begin!) / 1000);
  } catch (cause) {
    throw new Error(`${program.name}: ${(cause as Error).message}`);
  }
}

async function compile(command: Command & { do: 'compile' }): Promise<Reply> {
  const trace = command.profile ? profiler?.start(command.name) : undefined;
  const session = await ort.InferenceSession.create(command.model, {
    ...sessionOptions(threads, frugal, command.folder),
    ...(trace ? profiler!.options(trace) : {}),
  });
  if (trace) profiler!.opened(trace, session);
  programs.set(command.program, { name: command.name, session, ...(trace ? { trace } : {}) });
  return {
    reply: command.reply,
    value: { inputs: session.inputNames, outputs: session.outputNames.filter((n) => n !== firstOutput) },
  };
}

async function transfer<T>(work: () => Promise<T>): Promise<T | FileFailure> {
  try {
    return await work();
  } catch (e) {
    if (e instanceof FileProblem) return { message: e.message, code: e.code };
    throw e;
  }
}

const loadFile = (command: Command & { do: 'loadFile' }) =>
  transfer(async () => {
    const made = await readParts(command.file, command.parts);
    for (const [i, { id, dtype }] of command.parts.entries()) buffers.set(id, { dtype, data: made[i]! });
    return [];
  });

const storeFile = (command: Command & { do: 'storeFile' }) =>
  transfer(() =>
    writeParts(
      command.file,
      command.parts.map((p) => ({ data: bufferOf(p.id).data, offset: p.offset })),
    ),
  );

async function carryOut(command: Command): Promise<void> {
  switch (command.do) {
    case 'alloc':
      buffers.set(command.id, { dtype: command.dtype, data: new hostArrays[command.dtype](command.length) });
      return;
    case 'upload':
      buffers.set(command.id, { dtype: dtypeOf(command.data), data: command.data });
      return;
    case 'free': {
      const held = buffers.get(command.id);
      buffers.delete(command.id);
      if (held) discard(held.data);
      return;
    }
    case 'release': {
      const program = programs.get(command.program);
      programs.delete(command.program);
      if (program?.trace) await profiler!.end(program.trace);
      await program?.session.release();
      return;
    }
    case 'write':
      (bufferOf(command.id).data as Float32Array).set(command.data as Float32Array, command.offset);
      discard(command.data);
      return;
    case 'run':
      return run(command);
    case 'prepare':
      prepared.set(command.id, { feeds: tensors(command.feeds), fetches: tensors(command.fetches) });
      return;
    case 'drop':
      prepared.delete(command.id);
      return;
    case 'compile':
      port.postMessage(await compile(command));
      return;
    case 'read': {
      const data = bufferOf(command.id).data.slice(command.offset, command.offset + command.length);
      port.postMessage({ reply: command.reply, value: data } satisfies Reply, [data.buffer as ArrayBuffer]);
      return;
    }
    case 'copy': {
      const source = bufferOf(command.from).data.subarray(command.fromOffset, command.fromOffset + command.length);
      (bufferOf(command.to).data as Float32Array).set(source as Float32Array, command.toOffset);
      return;
    }
    case 'countRuns':
      if (profiler) profiler.counting = command.on;
      return;
    case 'profile':
      port.postMessage({ reply: command.reply, value: (await profiler?.finish()) ?? [] } satisfies Reply);
      return;
    case 'loadFile':
      port.postMessage({ reply: command.reply, value: await loadFile(command) } satisfies Reply);
      return;
    case 'storeFile':
      port.postMessage({ reply: command.reply, value: await storeFile(command) } satisfies Reply);
      return;
    case 'sync':
      port.postMessage({ reply: command.reply } satisfies Reply);
  }
}

async function handle(command: Command): Promise<void> {
  const waits = 'reply' in command;
  try {
    // After a failure nothing that is computed can be right: skip to the next command that waits, which carries it.
    // Buffers still come and go: the other side goes on to use them.
    if (failure === undefined || housekeeping.has(command.do)) await carryOut(command);
  } catch (cause) {
    failure ??= (cause as Error).message;
  }
  if (waits && failure !== undefined) {
    port.postMessage({ reply: command.reply, error: failure } satisfies Reply);
    failure = undefined;
  }
}

let queue: Promise<void> = Promise.resolve();
let ending = false;
port.on('message', (batch: Command[] | typeof lastMessage) => {
  if (batch === lastMessage) {
    ending = true;
    // A thread that is ended from outside in the middle of a run takes the whole process with it (a C++ exception).
    queue = queue.then(() => port.close());
    return;
  }
  queue = queue.then(async () => {
    for (const command of batch) if (!ending) await handle(command);
  });
});
port.postMessage({ ready: { provider: 'cpu', threads, version: ort.env.versions.common } } satisfies Reply);
