// The Files and Batch endpoints of the test teacher, in memory.
import type { Answer } from './complete.ts';
import { complete, fail } from './complete.ts';
import type { Asked, TeacherServerOptions } from './options.ts';

interface StoredFile {
  id: string;
  filename: string;
  purpose: string;
  bytes: number;
  object: 'file';
  created_at: number;
  content: string;
}

interface StoredBatch {
  number: number;
  looks: number;
  body: Record<string, unknown>;
}

export function createFiles(options: TeacherServerOptions, pay: (key: string) => void) {
  const files = new Map<string, StoredFile>();
  const batches = new Map<string, StoredBatch>();

  const store = (filename: string, purpose: string, content: string): StoredFile => {
    const id = `file-${files.size + 1}`;
    const file = {
      id,
      filename,
      purpose,
      bytes: Buffer.byteLength(content),
      content,
      object: 'file',
      created_at: 1,
    } as const;
    files.set(id, file);
    return file;
  };
  const shown = ({ content, ...file }: StoredFile) => file;

  async function upload(raw: Buffer, type: string): Promise<Answer> {
    const form = await new Response(new Uint8Array(raw), { headers: { 'content-type': type } }).formData();
    const file = form.get('file');
    if (form.get('purpose') !== 'batch' || !(file instanceof Blob))
      return fail(400, 'purpose must be batch, with a file');
    const content = await file.text();
    if (file.size > 200_000_000) return fail(400, 'File is larger than 200 MB');
    return { status: 200, body: shown(store((file as File).name, 'batch', content)) };
  }

  function create(body: Record<string, unknown>): Answer {
    const file = files.get(String(body.input_file_id));
    if (!file) return fail(404, `No such File object: ${body.input_file_id}`);
    if (body.completion_window !== '24h') return fail(400, "completion_window must be '24h'");
    const number = batches.size + 1;
    const id = `batch_${number}`;
    const total = file.content.trimEnd().split('\n').length;
    batches.set(id, {
      number,
      looks: 0,
      body: {
        id,
        object: 'batch',
        endpoint: body.endpoint,
        input_file_id: file.id,
        completion_window: '24h',
        status: 'validating',
        metadata: body.metadata ?? null,
        created_at: 1,
        errors: null,
        output_file_id: null,
        error_file_id: null,
        request_counts: { total, completed: 0, failed: 0 },
      },
    });
    return { status: 200, body: batches.get(id)!.body };
  }

  function look(batch: StoredBatch): void {
    const { body } = batch;
    if (!['validating', 'in_progress'].includes(String(body.status))) return;
    if (options.batchFails?.(batch.number)) {
      const data = [{ code: 'invalid_json_line', message: 'This line is not parseable as valid JSON.', line: 1 }];
      Object.assign(body, { status: 'failed', errors: { object: 'list', data } });
      return;
    }
    body.status = 'in_progress';
    if (++batch.looks >= (options.batchPolls ?? 1)) work(batch);
  }

  function work({ body, number }: StoredBatch): void {
    const [done, failed]: [string[], string[]] = [[], []];
    let expired = false;
    for (const line of files.get(String(body.input_file_id))!.content.trimEnd().split('\n')) {
      const request = JSON.parse(line) as { custom_id: string; url: string; body: Record<string, unknown> };
      const id = request.custom_id;
      const fault = options.batchFault?.(id, number);
      const row = (response: unknown, error: unknown = null) =>
        JSON.stringify({ id: `row-${id}`, custom_id: id, response, error });
      if (fault === 'lost') continue;
      if (fault === 'expire') {
        expired = true;
        const message = 'This request could not be executed before the completion window expired.';
        failed.push(row(null, { code: 'batch_expired', message }));
      } else if (fault === 'error') {
        failed.push(row({ status_code: 500, request_id: 'r', body: fail(500, 'The server had an error').body }));
      } else {
        const asked: Asked = { path: request.url, id, key: id, attempt: 1, headers: {}, body: request.body };
        const answer = options.batchRow?.(id) ?? complete(asked, request.url.endsWith('/chat/completions'), options);
        if (answer.status === 200) pay(id);
        (answer.status === 200 ? done : failed).push(
          row({ status_code: answer.status, request_id: 'r', body: answer.body }),
        );
      }
    }
    // The order of the results is not that of the requests.
    done.reverse();
    Object.assign(body, {
      status: expired ? 'expired' : 'completed',
      output_file_id: done.length ? store('output.jsonl', 'batch_output', `${done.join('\n')}\n`).id : null,
      error_file_id: failed.length ? store('error.jsonl', 'batch_output', `${failed.join('\n')}\n`).id : null,
      request_counts: { total: done.length + failed.length, completed: done.length, failed: failed.length },
    });
  }

  /** @param path without /v1. @returns undefined where the path is not about files or batches. */
  return async (method: string, path: string, raw: Buffer, type: string): Promise<Answer | string | undefined> => {
    const list = (data: unknown[]) => ({ status: 200, body: { object: 'list', data, has_more: false } });
    if (path === '/files')
      return method === 'POST' ? upload(raw, type) : list([...files.values()].reverse().map(shown));
    if (path === '/batches')
      return method === 'POST'
        ? create(JSON.parse(raw.toString()))
        : list([...batches.values()].reverse().map((b) => b.body));
    const file = /^\/files\/([^/]+)(\/content)?$/.exec(path);
    if (file) {
      const found = files.get(file[1]!);
      if (!found) return fail(404, `No such File object: ${file[1]}`);
      return file[2] ? found.content : { status: 200, body: shown(found) };
    }
    const batch = /^\/batches\/([^/]+)$/.exec(path);
    if (!batch) return undefined;
    const found = batches.get(batch[1]!);
    if (!found) return fail(404, `No batch found with id '${batch[1]}'.`);
    look(found);
    return { status: 200, body: found.body };
  };
}
