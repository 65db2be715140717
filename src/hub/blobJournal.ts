// What is on the disk of a large unfinished file. After the death of a process all that was written is there; after the death
// of the machine only what was synced. So the journal says which of its records are synced, and in which run of the machine they were made.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { hostname, uptime } from 'node:os';
import { writeFileAtomic } from '../base/node.ts';
import { ChunkTable } from './chunkTable.ts';
import type { HubFile } from './hubFiles.ts';

interface Header {
  huacaya: 1;
  hash: string;
  size: number;
  chunk: number;
  host: string;
  /** Linux: the id of this run of the kernel; elsewhere the second in which the machine started. */
  boot: string | number;
}

/** One append-only text file: the header, then `chunk have` for each write, and `S n` once the first n records are synced. */
export class BlobJournal {
  readonly #fd: number;
  #records: number;

  private constructor(fd: number, records: number) {
    this.#fd = fd;
    this.#records = records;
  }

  /** Starts a journal with what `table` has, all of which must be synced. */
  static async create(path: string, file: HubFile, table: ChunkTable): Promise<BlobJournal> {
    const header: Header = {
      huacaya: 1,
      hash: file.hash.value,
      size: file.size,
      chunk: table.chunkSize,
      host: hostname(),
      boot: bootId(),
    };
    const records = table.have.flatMap((have, index) => (have > 0 ? [`${index} ${have}`] : []));
    await writeFileAtomic(path, `${[JSON.stringify(header), ...records, `S ${records.length}`].join('\n')}\n`);
    return new BlobJournal(openSync(path, 'a'), records.length);
  }

  get records(): number {
    return this.#records;
  }

  /** To be called after the bytes were written. */
  add(index: number, have: number): void {
    this.#records++;
    this.#append(`${index} ${have}\n`);
  }

  /** To be called after a sync that began when there were `records` records. */
  synced(records: number): void {
    this.#append(`S ${records}\n`);
  }

  close(): void {
    closeSync(this.#fd);
  }

  // A few bytes into the system's memory: waiting for another thread to do it takes ten times as long.
  #append(line: string): void {
    writeSync(this.#fd, line);
  }
}

/** What a journal vouches for; undefined when there is none, or it is about another file. A damaged end is left out. */
export async function readJournal(path: string, file: HubFile): Promise<ChunkTable | undefined> {
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n');
  // What follows the last line's end was never written whole.
  lines.pop();
  const header = parseHeader(lines[0]);
  if (header?.hash !== file.hash.value || header.size !== file.size) return undefined;
  const table = new ChunkTable(file.size, header.chunk);
  const records: [number, number][] = [];
  let synced = 0;
  for (const line of lines.slice(1)) {
    const [, mark, first, second] = /^(S )?(\d{1,15})(?: (\d{1,15}))?$/.exec(line) ?? [];
    if (first === undefined || (mark === undefined) !== (second !== undefined)) break;
    if (mark) synced = Math.min(Number(first), records.length);
    else if (Number(first) < table.have.length) records.push([Number(first), Number(second)]);
    else break;
  }
  const same = header.host === hostname() && sameBoot(header.boot, bootId());
  for (const [index, have] of same ? records : records.slice(0, synced)) table.fill(index, have);
  return table;
}

function parseHeader(line: string | undefined): Header | undefined {
  try {
    const header = JSON.parse(line ?? '') as Header;
    const sane = header.huacaya === 1 && Number.isSafeInteger(header.chunk) && header.chunk >= 1 << 20;
    return sane ? header : undefined;
  } catch {
    return undefined;
  }
}

export function bootId(): string | number {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return Math.round(Date.now() / 1000 - uptime());
  }
}

function sameBoot(a: string | number, b: string | number): boolean {
  return typeof a === 'number' && typeof b === 'number' ? Math.abs(a - b) <= 2 : a === b;
}
