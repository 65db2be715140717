// The files of one model onto the disk, side by side: resumed, verified, one process at a time for each of them.
import { stat } from 'node:fs/promises';
import { HuacayaError } from '../base/index.ts';
import { fileError } from '../base/node.ts';
import { BlobPart, tableOf } from './blobPart.ts';
import { ChangedFile, wrongContent } from './blobRequest.ts';
import { BlobTransfer } from './blobTransfer.ts';
import type { OnEvent } from './events.ts';
import { hashFile } from './hashFile.ts';
import { type GrowingHash, HashThread } from './hashThread.ts';
import type { HubFile } from './hubFiles.ts';
import { withLock } from './lock.ts';
import { Meter } from './meter.ts';
import { Mirrors, MirrorWalk } from './mirrors.ts';
import type { RequestOptions } from './request.ts';
import { Slots } from './slots.ts';

export interface BlobJob {
  file: HubFile;
  /** The same file at the endpoint and at its mirrors, in the order in which they are tried. */
  urls: readonly string[];
  /** Where the verified file will be. Its folder is made. */
  blobPath: string;
  /** Held while the file is fetched. Not a path that Python locks: its locks are of another kind. Its folder is made. */
  lockPath: string;
}

export interface BlobsOptions extends RequestOptions {
  /** `org/name`, for messages. */
  repo: string;
  onEvent: OnEvent;
  /** Connections at a time, all files together; default 8. */
  connections?: number;
}

/** Files that are worked on at a time. */
const OPEN_FILES = 8;

/** About a minute in all: servers that are restarted come back. */
const FILE_DELAYS_MS: readonly number[] = [1000, 2000, 4000, 8000, 15_000, 30_000];

/** What the files of one download share. */
interface Shared {
  options: BlobsOptions;
  signal: AbortSignal;
  meter: Meter;
  mirrors: Mirrors;
  hashes: HashThread;
  files: Slots;
  connections: { slots: Slots; count: number };
}

/**
 * Makes every `blobPath` hold its file; earlier jobs go first. A blob that is there already is hashed and kept when it is right.
 * @throws HuacayaError HUB_WRONG_CONTENT after the second wrong file, HUB_* for the network, NO_SPACE / FILE_UNREADABLE for
 * the disk; unfinished parts stay for the next time.
 */
export async function downloadBlobs(jobs: readonly BlobJob[], options: BlobsOptions): Promise<void> {
  const { connections: count = 8, onEvent } = options;
  const stop = new AbortController();
  const shared: Shared = {
    options,
    signal: options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal,
    meter: new Meter(
      jobs.map((job) => job.file),
      onEvent,
    ),
    mirrors: new Mirrors(),
    hashes: new HashThread(),
    files: new Slots(OPEN_FILES),
    connections: { slots: new Slots(count), count },
  };
  const { meter } = shared;
  const begin = async ({ file, blobPath }: BlobJob) =>
    meter.begin(file, file.size - (await missingBytes(file, blobPath)));
  await Promise.all(jobs.map(begin));
  const running = new Map<string, Promise<void>>();
  try {
    for (const [rank, job] of jobs.entries()) {
      // Files with the same content are one blob.
      const earlier = running.get(job.blobPath) ?? Promise.resolve();
      const run = earlier.then(() => fetchJob(job, rank, shared));
      // The first failure stops the others; they put on record what they have.
      running.set(
        job.blobPath,
        run.catch((error) => stop.abort(error)),
      );
    }
    await Promise.all(running.values());
  } finally {
    await shared.hashes.stop();
  }
  shared.signal.throwIfAborted();
}

/** Bytes of `file` that are not on the disk yet, neither as a blob nor as an unfinished part of one. */
export async function missingBytes(file: HubFile, blobPath: string): Promise<number> {
  if ((await stat(blobPath).catch(() => undefined))?.size === file.size) return 0;
  return file.size - (await tableOf(file, blobPath)).received;
}

async function fetchJob(job: BlobJob, rank: number, shared: Shared): Promise<void> {
  const { signal, files } = shared;
  const { onEvent } = shared.options;
  await files.take(rank, signal);
  let mine = true;
  try {
    await withLock(
      job.lockPath,
      async () => {
        if (!mine) await files.take(rank, signal);
        mine = true;
        await makeBlob(job, rank, shared);
      },
      {
        signal,
        onWait: () => {
          // Whoever waits for another process must not keep us from the other files.
          files.give();
          mine = false;
          onEvent({ type: 'note', message: `another process is fetching ${job.file.name}; waiting for it` });
        },
      },
    );
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw (error as NodeJS.ErrnoException)?.syscall ? fileError(job.blobPath, error) : error;
  } finally {
    if (mine) files.give();
  }
}

async function makeBlob(job: BlobJob, rank: number, shared: Shared): Promise<void> {
  const { file, blobPath } = job;
  const { meter, signal, mirrors } = shared;
  if (await isRight(blobPath, file, signal)) {
    meter.at(file, file.size);
    meter.verified(file);
    return;
  }
  const walk = new MirrorWalk(job.urls, mirrors);
  for (let wrong = 0; ; ) {
    const part = await BlobPart.open(file, blobPath);
    try {
      await fillAndCheck(job, part, walk, rank, shared);
      await part.publish();
      meter.verified(file);
      return;
    } catch (error) {
      const changed = error instanceof ChangedFile;
      if (!changed && !(error instanceof HuacayaError && error.code === 'HUB_WRONG_CONTENT')) {
        await part.close();
        throw error;
      }
      await part.discard();
      const why = changed
        ? wrongContent(shared.options.repo, file, 'changed on the server while it was fetched')
        : error;
      if (++wrong === 2) throw why;
      meter.at(file, 0);
      walk.startAgain();
      walk.ignoreTags = changed;
      shared.options.onEvent({ type: 'note', message: `${why.message}; starting that file again` });
    }
  }
}

async function fillAndCheck(
  job: BlobJob,
  part: BlobPart,
  walk: MirrorWalk,
  rank: number,
  shared: Shared,
): Promise<void> {
  const { file } = job;
  const { meter, hashes, options, connections, signal } = shared;
  let growing: GrowingHash | undefined;
  const told = (fresh: number) => {
    meter.at(file, part.table.received, fresh);
    growing?.advance(part.table.frontier);
  };
  try {
    if (part.large) growing = hashes.follow(part.path, file.hash.kind, file.size);
    told(0);
    const delaysMs = options.delaysMs ?? FILE_DELAYS_MS;
    await new BlobTransfer(file, part, walk, { ...options, delaysMs, connections, rank, signal }, told).run();
    const { kind } = file.hash;
    const actual = await (growing ? unlessAborted(growing.digest(), signal) : hashFile(part.path, kind, signal));
    if (actual === file.hash.value) return;
    const what = `has ${kind} ${actual}, but the hub listed ${file.hash.value}`;
    throw wrongContent(options.repo, file, what);
  } finally {
    growing?.close();
  }
}

async function isRight(path: string, file: HubFile, signal: AbortSignal): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  return info?.size === file.size && (await hashFile(path, file.hash.kind, signal)) === file.hash.value;
}

/** What is asked of another thread cannot be stopped, but it need not be waited for. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let leave = () => {};
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
  });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', leave));
}
