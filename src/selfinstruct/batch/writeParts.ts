// Requests into files within the provider's limits, each with a list of what is in it.
import { usageError } from '../../base/index.ts';
import { type FileWriter, readLines, writeAtomic } from './lines.ts';
import { entriesPath, type Part, type PartEntry, requestsPath } from './state.ts';

/** OpenAI's: 50,000 requests and 200 MB a file. */
export const LIMITS = { requests: 50_000, bytes: 200_000_000 };

export interface Line {
  entry: PartEntry;
  /** One JSON object, without the end of the line. */
  text: string;
}

export interface PartsOptions {
  /** Number of the first part, from 1. */
  first: number;
  model: string;
  api: 'chat' | 'completions';
  tries: number;
  maxRequests: number;
  maxBytes: number;
}

/** @throws HuacayaError USAGE for a request that is larger than a file may be. */
export async function writeParts(
  folder: string,
  lines: AsyncIterable<Line> | Iterable<Line>,
  { first, model, api, tries, maxRequests, maxBytes }: PartsOptions,
): Promise<Part[]> {
  const parts: Part[] = [];
  const source = (async function* () {
    yield* lines;
  })();
  let next = await source.next();
  while (!next.done) {
    const name = `requests-${String(first + parts.length).padStart(4, '0')}`;
    const entries: PartEntry[] = [];
    const written = await writeAtomic(requestsPath(folder, { name }), async (writer) => {
      for (let bytes = 0; !next.done; next = await source.next()) {
        const { entry, text } = next.value;
        const line = Buffer.from(`${text}\n`);
        if (line.length > maxBytes)
          throw usageError(`request ${entry.id} is larger than a batch may be (${maxBytes} bytes)`);
        if (entries.length === maxRequests || bytes + line.length > maxBytes) break;
        bytes += line.length;
        entries.push(entry);
        await writer.write(line);
      }
    });
    await writeAtomic(entriesPath(folder, { name }), (writer) => writeEntries(writer, entries));
    parts.push({ name, status: 'prepared', model, api, requests: entries.length, tries, ...written });
  }
  return parts;
}

async function writeEntries(writer: FileWriter, entries: readonly PartEntry[]): Promise<void> {
  for (const entry of entries) await writer.write(Buffer.from(`${JSON.stringify(entry)}\n`));
}

/** The lines of a part that are in `entries`. */
export async function* linesOf(
  folder: string,
  part: { name: string },
  entries: ReadonlyMap<string, PartEntry>,
): AsyncGenerator<Line, void, void> {
  for await (const text of readLines(requestsPath(folder, part))) {
    const entry = entries.get((JSON.parse(text) as { custom_id: string }).custom_id);
    if (entry) yield { entry, text };
  }
}
