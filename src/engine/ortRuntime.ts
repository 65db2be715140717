// The Runtime over onnxruntime-node in a worker thread. Runs are posted in batches; this thread never computes.
import { availableParallelism, cpus } from 'node:os';
import { basename, dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { HuacayaError, usageError } from '../base/index.ts';
import { temporaryFolder } from '../base/node.ts';
import { type Constants, type Program, toOnnx } from '../graph/index.ts';
import { type Command, type FileFailure, lastMessage, type Reply, type WorkerOptions } from './protocol.ts';
import {
  type Bindings,
  type ConstantFile,
  type DeviceBuffer,
  type DeviceFiles,
  dtypeOf,
  elementCount,
  engineError,
  type HostArray,
  type InlineConstants,
  type Runtime,
  type RuntimeInfo,
} from './runtime.ts';

/** Posted at the latest after so many commands, so that the worker starts while a long pass is still being queued. */
const batchSize = 32;

/** An array that owns its memory (a Buffer's own slice would share it). */
const copyOf = (data: HostArray): HostArray => (data instanceof Uint8Array ? new Uint8Array(data) : data.slice());

const bytesOf = (data: HostArray) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function placesOf(constants: ConstantFile | InlineConstants): Constants {
  if ('data' in constants) return Object.fromEntries(Object.entries(constants.data).map(([n, d]) => [n, bytesOf(d)]));
  const file = basename(constants.path);
  return Object.fromEntries(Object.entries(constants.parts).map(([name, part]) => [name, { ...part, file }]));
}

/** The compiled worker also when this file runs from source (tests): a worker thread cannot load TypeScript. */
function workerUrl(): URL {
  const here = import.meta.url;
  return here.endsWith('.ts') ? new URL('../../dist/engine/ortWorker.js', here) : new URL('./ortWorker.js', here);
}

export interface RuntimeOptions {
  /** Programs give memory back after each run instead of keeping it for the next: less memory, and somewhat slower. */
  frugal?: boolean;
  /** Cores to use; default: all of them. */
  threads?: number;
  /**
   * Records what each kernel costs, of all programs or of those whose name is accepted: see `Runtime.profile`. Each kernel
   * of each run costs about 3 kB of memory and 7 microseconds until `Runtime.profile` is called, so: not for long.
   */
  profile?: true | ((program: string) => boolean);
}

/**
 * Starts an engine. One per process is the rule: sessions that are created and released again and again leak.
 * @throws HuacayaError USAGE for more threads than cores, ENGINE_MISSING when onnxruntime's native library cannot be loaded.
 */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  // onnxruntime's official builds for Linux and macOS send usage data and leave a device id in the home folder. Nobody
  // asked for that here: off, unless the user has set the variable. It is read once, when the library is loaded.
  process.env.ORT_DISABLE_TELEMETRY ??= '1';
  const threads = options.threads ?? availableParallelism();
  // The native pool would really start as many threads as it is told.
  const most = Math.max(availableParallelism(), cpus().length);
  if (!Number.isInteger(threads) || threads < 1 || threads > most) {
    throw usageError(`threads is ${threads}; this machine has ${most} cores`, `Use 1 to ${most}.`);
  }
  const { profile } = options;
  const traces = profile ? await temporaryFolder('huacaya-profile-') : undefined;
  const workerData: WorkerOptions = { threads, frugal: !!options.frugal, ...(traces ? { profile: traces.path } : {}) };
  // The user's own flags for node (--input-type, --import, ...) are not meant for this thread.
  const worker = new Worker(workerUrl(), { workerData, name: 'huacaya-engine', execArgv: [] });
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (e: Error) => void }>();
  let info!: RuntimeInfo;
  let dead: Error | undefined;
  let ended = false;
  const fail = (error: Error) => {
    dead ??= error;
    for (const w of waiting.values()) w.reject(error);
    waiting.clear();
  };
  await new Promise<void>((resolve, reject) => {
    worker.on('message', (reply: Reply) => {
      if ('ready' in reply) {
        info = reply.ready;
        resolve();
        return;
      }
      const w = waiting.get(reply.reply);
      waiting.delete(reply.reply);
      if ('error' in reply) w?.reject(engineError(reply.error));
      else w?.resolve(reply.value as never);
    });
    worker.on('error', (cause) => {
      if (info) return fail(engineError(`the engine's worker failed: ${cause.message}`, cause));
      const error = new HuacayaError('ENGINE_MISSING', `the onnxruntime engine stopped: ${cause.message}`, {
        hint: 'Reinstall with `npm ci`; on Linux glibc 2.28 or newer is needed.',
        cause,
      });
      fail(error);
      reject(error);
    });
    worker.on('exit', (code) => {
      ended = true;
      fail(engineError(`the engine's worker ended (code ${code})`));
      reject(dead); // a start that never said it was ready
    });
  }).catch(async (e) => {
    await traces?.remove();
    throw e;
  });

  let pending: Command[] = [];
  let transfers: ArrayBuffer[] = [];
  let scheduled = false;
  const flush = () => {
    scheduled = false;
    if (pending.length === 0) return;
    worker.postMessage(pending, transfers);
    pending = [];
    transfers = [];
  };
  const post = (command: Command) => {
    if (dead) throw dead;
    pending.push(command);
    if (pending.length >= batchSize) flush();
    else if (!scheduled) {
      scheduled = true;
      queueMicrotask(flush);
    }
  };
  let nextReply = 0;
  const ask = <T>(make: (reply: number) => Command): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const reply = nextReply++;
      waiting.set(reply, { resolve, reject });
      try {
        post(make(reply));
      } catch (e) {
        waiting.delete(reply);
        reject(e);
      }
    });

  let nextBuffer = 0;
  let nextProgram = 0;
  let nextPrepared = 0;
  const files: DeviceFiles = {
    async load(file, parts) {
      const made = parts.map(({ dtype, length }) => ({ id: nextBuffer++, dtype, length }));
      const withIds = parts.map((p, i) => ({ ...p, id: made[i]!.id }));
      const failed = await ask<[] | FileFailure>((reply) => ({ do: 'loadFile', reply, file, parts: withIds }));
      if ('message' in failed) throw new HuacayaError('BAD_VIEW_FILE', failed.message);
      return made;
    },
    async store(file, parts) {
      const places = parts.map((p) => ({ id: p.buffer.id, offset: p.offset }));
      const sums = await ask<number[] | FileFailure>((reply) => ({ do: 'storeFile', reply, file, parts: places }));
      if ('message' in sums) throw Object.assign(new Error(sums.message), { code: sums.code });
      return sums;
    },
  };
  return {
    info,
    files,
    async compile(program: Program, constants?: ConstantFile | InlineConstants) {
      const id = nextProgram++;
      const model = toOnnx(program, constants && placesOf(constants));
      const folder = constants && 'path' in constants ? { folder: dirname(constants.path) } : {};
      const names = await ask<{ inputs: string[]; outputs: string[] }>((reply) => {
        const profiled = profile === true || profile?.(program.name);
        return {
          do: 'compile',
          reply,
          program: id,
          name: program.name,
          model,
          ...folder,
          ...(profiled ? { profile: true } : {}),
        };
      });
      return { id, name: program.name, ...names };
    },
    release(program) {
      post({ do: 'release', program: program.id });
    },
    alloc(dtype, length) {
      const buffer: DeviceBuffer = { id: nextBuffer++, dtype, length };
      post({ do: 'alloc', ...buffer });
      return buffer;
    },
    upload(data) {
      const buffer: DeviceBuffer = { id: nextBuffer++, dtype: dtypeOf(data), length: data.length };
      // A view into something larger cannot be handed over without taking its neighbours along.
      const own = data.byteLength === data.buffer.byteLength ? data : copyOf(data);
      transfers.push(own.buffer as ArrayBuffer);
      post({ do: 'upload', id: buffer.id, data: own });
      return buffer;
    },
    free(buffer) {
      post({ do: 'free', id: buffer.id });
    },
    write(buffer, data, offset = 0) {
      if (offset + data.length > buffer.length || dtypeOf(data) !== buffer.dtype) {
        throw new Error(`internal: ${data.length} ${dtypeOf(data)} at ${offset} into ${buffer.length} ${buffer.dtype}`);
      }
      // Copied now: the caller may change its array before the batch is posted.
      const copy = copyOf(data);
      transfers.push(copy.buffer as ArrayBuffer);
      post({ do: 'write', id: buffer.id, offset, data: copy });
    },
    read(v) {
      const length = elementCount(v.shape);
      return ask((reply) => ({ do: 'read', reply, id: v.buffer.id, offset: v.offset, length }));
    },
    copy(from, to) {
      const length = elementCount(from.shape);
      if (length !== elementCount(to.shape) || from.buffer.dtype !== to.buffer.dtype) {
        throw new Error(`internal: [${from.shape}] ${from.buffer.dtype} copied to [${to.shape}] ${to.buffer.dtype}`);
      }
      post({
        do: 'copy',
        from: from.buffer.id,
        fromOffset: from.offset,
        to: to.buffer.id,
        toOffset: to.offset,
        length,
      });
    },
    prepare(feeds, fetches) {
      const id = nextPrepared++;
      const all = (from: Bindings) =>
        Object.entries(from).map(([name, v]) => [name, v.buffer.id, v.offset, v.shape] as const);
      post({ do: 'prepare', id, feeds: all(feeds), fetches: all(fetches) });
      return { id, bound: new Set([...Object.keys(feeds), ...Object.keys(fetches)]) };
    },
    drop(prepared) {
      post({ do: 'drop', id: prepared.id });
    },
    run(program, feeds, fetches, prepared) {
      const bind = (names: readonly string[], from: typeof feeds, all: boolean) =>
        names.flatMap((name) => {
          const v = from[name];
          if (!v && prepared?.bound.has(name)) return [];
          if (!v && all) throw new Error(`internal: ${program.name} needs ${name}`);
          return v ? [[name, v.buffer.id, v.offset, v.shape] as const] : [];
        });
      post({
        do: 'run',
        program: program.id,
        feeds: bind(program.inputs, feeds, true),
        fetches: bind(program.outputs, fetches, false),
        ...(prepared ? { prepared: prepared.id } : {}),
      });
    },
    sync: () => ask<void>((reply) => ({ do: 'sync', reply })),
    countRuns(on) {
      post({ do: 'countRuns', on });
    },
    profile: () => ask((reply) => ({ do: 'profile', reply })),
    async close() {
      // Who still waits would wait for ever: the worker is gone before it answers.
      fail(engineError('the engine was closed'));
      await new Promise<void>((done) => {
        if (ended) return done();
        worker.once('exit', () => done());
        worker.postMessage(lastMessage);
      });
      await traces?.remove();
    },
  };
}
