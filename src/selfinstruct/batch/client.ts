// The calls of the Files and Batch APIs that we need. Source: OpenAI's API reference, "Files" and "Batch".
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { HuacayaError, type ProxySettings } from '../../base/index.ts';
import { fileError } from '../../base/node.ts';
import { failingError, forbiddenError, keyError, networkError, quotaError } from '../teacher/errors.ts';
import { type Call, exchange, type HttpAnswer, NetworkFailure } from '../teacher/exchange.ts';
import { clean, errorOf } from '../teacher/judge.ts';
import { type TeacherEndpoint, type TeacherPatience, withDefaults } from '../teacher/options.ts';
import { patientFetch } from '../teacher/patientFetch.ts';
import { createStation, headersFor, type Station } from '../teacher/station.ts';
import { askedWait, backoff } from '../teacher/waits.ts';
import { writeAtomic } from './lines.ts';

export interface BatchOptions {
  patience?: TeacherPatience;
  proxy?: ProxySettings;
  fetch?: typeof fetch;
  signal?: AbortSignal;
}

export interface RemoteBatch {
  id: string;
  status: string;
  metadata?: Record<string, string> | null;
  output_file_id?: string | null;
  error_file_id?: string | null;
  errors?: { data?: { message?: string }[] } | null;
  request_counts?: { total?: number; completed?: number; failed?: number };
}

export interface BatchClient {
  station: Station;
  /** @param again whether an earlier process may have done it already. */
  upload(path: string, filename: string, bytes: number, again: boolean): Promise<string>;
  /** @param key found again in the batch's metadata. */
  create(body: Record<string, unknown>, key: string, again: boolean): Promise<string>;
  batch(id: string): Promise<RemoteBatch>;
  download(fileId: string, path: string): Promise<void>;
}

/** Failures after which it is unknown whether it was done. */
class Unknown extends Error {}

export function createBatchClient(endpoint: TeacherEndpoint, options: BatchOptions): BatchClient {
  const station = createStation(endpoint);
  const patience = withDefaults(options.patience);
  const fetch = options.fetch ?? patientFetch(options.proxy);

  async function once(call: Omit<Call, 'headers' | 'timeoutMs' | 'stallMs'> & { headers?: Record<string, string> }) {
    const { signal } = options;
    const headers = { ...headersFor(station), ...call.headers };
    return exchange({
      timeoutMs: endpoint.timeoutMs ?? 600_000,
      stallMs: patience.stallMs,
      ...call,
      headers,
      fetch,
      signal,
    });
  }

  /** Tries again what may pass. @param recheck called before a try that may be a repetition; a result ends it. */
  async function persist<T>(
    work: () => Promise<HttpAnswer>,
    read: (answer: HttpAnswer) => T,
    recheck?: () => Promise<T | undefined>,
  ) {
    let error: HuacayaError | undefined;
    for (let n = 0; n < patience.tries; n++) {
      if (n > 0) {
        const done = await recheck?.();
        if (done !== undefined) return done;
      }
      let waitMs = backoff(n, patience.firstWaitMs, patience.longestWaitMs);
      try {
        const answer = await work();
        if (answer.status < 300) return read(answer);
        error = statusError(answer, station);
        if (answer.status < 500 && answer.status !== 429 && answer.status !== 408) throw error;
        if (error.code === 'TEACHER_NO_QUOTA') throw error;
        waitMs = Math.min(askedWait(answer.headers) ?? waitMs, patience.longestPauseMs);
      } catch (failure) {
        if (failure instanceof NetworkFailure) error = networkError(station, failure);
        else if (failure instanceof Unknown) error = failingError(station, 200, `: ${failure.message}`);
        else throw failure;
        if (error.code === 'TEACHER_UNREACHABLE' && !station.worked) throw error;
      }
      await sleep(waitMs, undefined, options.signal ? { signal: options.signal } : {});
    }
    throw error!;
  }

  const parse = ({ text }: HttpAnswer): Record<string, unknown> => {
    try {
      const value = JSON.parse(text);
      if (typeof value === 'object' && value !== null) {
        station.worked = true;
        return value;
      }
    } catch {}
    throw new Unknown('the answer is not JSON');
  };
  const idOf = (answer: HttpAnswer): string => {
    const { id } = parse(answer);
    if (typeof id !== 'string') throw new Unknown('the answer has no id');
    return id;
  };

  /** Looks through a list, newest first. */
  async function findIn(path: string, isIt: (item: Record<string, unknown>) => boolean): Promise<string | undefined> {
    for (let after: string | undefined, page = 0; page < 50; page++) {
      const query = `limit=100${after ? `&after=${encodeURIComponent(after)}` : ''}`;
      const separator = path.includes('?') ? '&' : '?';
      const url = `${station.base}${path}${separator}${query}`;
      const list = await persist(() => once({ method: 'GET', url }), parse);
      const data = (Array.isArray(list.data) ? list.data : []) as Record<string, unknown>[];
      const found = data.find(isIt);
      if (found) return String(found.id);
      after = data.length > 0 ? String(data.at(-1)!.id) : undefined;
      if (!list.has_more || !after) return undefined;
    }
    return undefined;
  }

  return {
    station,
    async upload(path, filename, bytes, again) {
      const find = () => findIn('/files?purpose=batch', (file) => file.filename === filename && file.bytes === bytes);
      const found = again ? await find() : undefined;
      if (found) return found;
      const boundary = `huacaya-${randomBytes(12).toString('hex')}`;
      const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
      const work = async () =>
        once({
          method: 'POST',
          url: `${station.base}/files`,
          headers,
          body: await multipart(path, filename, boundary),
        });
      return persist(work, idOf, find);
    },
    async create(body, key, again) {
      const find = () =>
        findIn('/batches', ({ metadata }) => (metadata as Record<string, unknown> | null)?.huacaya === key);
      const found = again ? await find() : undefined;
      if (found) return found;
      const headers = { 'content-type': 'application/json', 'idempotency-key': `huacaya-${key}` };
      const text = JSON.stringify({ ...body, metadata: { huacaya: key } });
      return persist(() => once({ method: 'POST', url: `${station.base}/batches`, headers, body: text }), idOf, find);
    },
    async batch(id) {
      const url = `${station.base}/batches/${encodeURIComponent(id)}`;
      return (await persist(() => once({ method: 'GET', url }), parse)) as unknown as RemoteBatch;
    },
    async download(fileId, path) {
      const url = `${station.base}/files/${encodeURIComponent(fileId)}/content`;
      let answer: HttpAnswer | undefined;
      const work = async () => {
        // A failed status leaves an empty file, which the next try replaces.
        await writeAtomic(path, async (writer) => {
          answer = await once({ method: 'GET', url, sink: (chunk) => writer.write(chunk) });
        });
        return answer!;
      };
      await persist(work, () => true);
    },
  };
}

function statusError(answer: HttpAnswer, station: Station): HuacayaError {
  const { status, text } = answer;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {}
  const error = errorOf(json);
  const said = error?.message ? `: ${clean(error.message, station)}` : '';
  if (status === 401) return keyError(station, said);
  if (status === 402 || error?.code.includes('insufficient_quota')) return quotaError(station, status, said);
  if (status === 403) return forbiddenError(station, said);
  if ((status === 404 || status === 405) && !error) {
    return new HuacayaError(
      'TEACHER_NO_BATCH',
      `${station.name}: has no batch service at ${station.base} (${status})`,
      {
        hint: 'Check the address; local servers and many providers have none: ask them without a batch.',
      },
    );
  }
  if (status >= 500 || status === 429 || status === 408) return failingError(station, status, said);
  return new HuacayaError('BATCH_REFUSED', `${station.name}: refuses the batch (${status}${said})`);
}

/** The form with a file and its purpose, in one piece: a length is known, which some gateways insist on. */
async function multipart(path: string, filename: string, boundary: string): Promise<Uint8Array<ArrayBuffer>> {
  const part = (name: string, more = '') =>
    `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${more}\r\n`;
  const file = part('file', `; filename="${filename}"`);
  const head = `${part('purpose')}\r\nbatch\r\n${file}content-type: application/jsonl\r\n\r\n`;
  const tail = `\r\n--${boundary}--\r\n`;
  const handle = await open(path, 'r').catch((cause) => {
    throw fileError(path, cause);
  });
  try {
    const { size } = await handle.stat();
    const body = new Uint8Array(head.length + size + tail.length);
    body.set(Buffer.from(head));
    for (let done = 0; done < size; ) {
      const { bytesRead } = await handle.read(body, head.length + done, size - done, done);
      if (bytesRead === 0) throw fileError(path, new Error('it became shorter while it was read'));
      done += bytesRead;
    }
    body.set(Buffer.from(tail), head.length + size);
    return body;
  } finally {
    await handle.close();
  }
}
