// One file of the hub onto the disk: resumed where it stopped, checked by length and hash, renamed when it is right.
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HuacayaError } from '../base/index.ts';
import { fileError } from '../base/node.ts';
import { type OnEvent, progressReporter } from './events.ts';
import { hashFile } from './hashFile.ts';
import type { HubFile } from './hubFiles.ts';
import { statusError } from './hubStatus.ts';
import { isTransient, type Reply, type RequestOptions, request } from './request.ts';

export const DEFAULT_DELAYS_MS: readonly number[] = [1000, 2000, 4000, 8000];

/** So many new bytes make up for the failures before them: a large file on a bad line needs many tries. */
const PROGRESS_BYTES = 1 << 20;

export interface BlobOptions extends RequestOptions {
  repo: string;
  onEvent: OnEvent;
}

/** Where the bytes of an unfinished blob are kept. Not the name that Python uses: the two must never write the same file. */
export function partialPath(blobPath: string): string {
  return `${blobPath}.huacaya.incomplete`;
}

/** Bytes on the disk, or 0 when there is no file. */
export async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

/**
 * Makes `blobPath` hold `file`. A blob that is there already is hashed and kept when it is right.
 * @throws HuacayaError HUB_WRONG_CONTENT after the second wrong file, HUB_* for the network; an unfinished part stays for the next time.
 */
export async function downloadBlob(file: HubFile, url: string, blobPath: string, options: BlobOptions): Promise<void> {
  const { onEvent, signal } = options;
  const partial = partialPath(blobPath);
  try {
    await mkdir(dirname(blobPath), { recursive: true });
    if (await isGood(blobPath, file, signal)) {
      onEvent({ type: 'progress', file: file.name, received: file.size, total: file.size });
      onEvent({ type: 'verified', file: file.name });
      return;
    }
    for (let wrong = 0; ; ) {
      try {
        await fillPartial(file, url, partial, options);
        await checkContent(file, partial, options);
        break;
      } catch (error) {
        if (!(error instanceof HuacayaError && error.code === 'HUB_WRONG_CONTENT')) throw error;
        await rm(partial, { force: true });
        if (++wrong === 2) throw error;
        onEvent({ type: 'note', message: `${error.message}; starting that file again` });
      }
    }
    await rename(partial, blobPath);
    onEvent({ type: 'verified', file: file.name });
  } catch (error) {
    throw (error as NodeJS.ErrnoException)?.syscall ? fileError(blobPath, error) : error;
  }
}

async function isGood(path: string, file: HubFile, signal: AbortSignal | undefined): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  return info?.size === file.size && (await hashFile(path, file.hash.kind, signal)) === file.hash.value;
}

async function checkContent(file: HubFile, partial: string, options: BlobOptions): Promise<void> {
  const actual = await hashFile(partial, file.hash.kind, options.signal);
  if (actual !== file.hash.value) {
    throw wrongContent(options.repo, file, `has ${file.hash.kind} ${actual}, but the hub listed ${file.hash.value}`);
  }
}

function wrongContent(repo: string, file: HubFile, what: string): HuacayaError {
  return new HuacayaError('HUB_WRONG_CONTENT', `${repo}/${file.name}: ${what}`, {
    hint: 'Something between the hub and this machine changes the file: try another network or mirror (HF_ENDPOINT).',
  });
}

/** Tries until the part is as long as the file; failures that bring no progress are bounded by `delaysMs`. */
async function fillPartial(file: HubFile, url: string, partial: string, options: BlobOptions): Promise<void> {
  const { delaysMs = DEFAULT_DELAYS_MS, onEvent, signal } = options;
  let failures = 0;
  let best = await sizeOf(partial);
  for (;;) {
    try {
      await appendFrom(file, url, partial, options);
      return;
    } catch (error) {
      if (!isTransient(error)) throw error;
      const have = await sizeOf(partial);
      if (have >= best + PROGRESS_BYTES) failures = 0;
      best = Math.max(best, have);
      const wait = delaysMs[failures++];
      if (wait === undefined) throw error;
      onEvent({ type: 'note', message: `${(error as Error).message}; trying again in ${wait / 1000} s` });
      await sleep(wait, undefined, signal ? { signal } : {});
    }
  }
}

/** One request: asks for the missing end, or for everything when the server cannot give that. */
async function appendFrom(file: HubFile, url: string, partial: string, options: BlobOptions): Promise<void> {
  const handle = await open(partial, 'a');
  try {
    let have = (await handle.stat()).size;
    const restart = async () => {
      await handle.truncate(0);
      have = 0;
    };
    if (have > file.size) await restart();
    const report = progressReporter(options.onEvent, file.name, file.size);
    if (have < file.size) {
      let answer = await ask(url, have, options);
      if (have > 0 && (answer.status === 416 || (answer.status === 206 && rangeStart(answer) !== have))) {
        answer.discard();
        await restart();
        answer = await ask(url, 0, options);
      }
      if (answer.status !== 200 && answer.status !== 206) {
        answer.discard();
        throw statusError(answer, options.repo, `${options.repo}/${file.name}`, options.token !== undefined);
      }
      if (answer.status === 200 && have > 0) await restart();
      const promised = answer.headers.has('content-encoding') ? null : answer.headers.get('content-length');
      if (promised !== null && have + Number(promised) !== file.size) {
        answer.discard();
        throw wrongContent(
          options.repo,
          file,
          `the server sends ${have + Number(promised)} bytes, but the hub listed ${file.size}`,
        );
      }
      for await (const piece of answer.chunks()) {
        if (have + piece.length > file.size) {
          throw wrongContent(
            options.repo,
            file,
            `the server sends more than the ${file.size} bytes that the hub listed`,
          );
        }
        await handle.writeFile(piece);
        have += piece.length;
        report(have);
      }
      if (have < file.size) {
        throw new HuacayaError('HUB_LOST', `${options.repo}/${file.name}: ended after ${have} of ${file.size} bytes`);
      }
    }
    report(have);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function ask(url: string, from: number, options: BlobOptions): Promise<Reply> {
  return request(url, from > 0 ? { ...options, headers: { range: `bytes=${from}-` } } : options);
}

function rangeStart(answer: Reply): number | undefined {
  const found = /^bytes (\d+)-/.exec(answer.headers.get('content-range') ?? '');
  return found ? Number(found[1]) : undefined;
}
