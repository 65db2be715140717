// A small Hugging Face hub on loopback: real paths, headers and redirects, and switches for everything that goes wrong.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const REPO = 'alpaca-lab/Tiny-Llama';
export const SHA = '0123456789abcdef0123456789abcdef01234567';

export interface HubSwitches {
  /** Cuts the connection after so many bytes of a body, this often. */
  drop?: { file: string; afterBytes: number; times: number };
  /** Storage answers 200 with everything, whatever the Range. */
  ignoreRange?: boolean;
  /** Storage answers any Range with 416. */
  refuseRange?: boolean;
  /** Sends the right number of wrong bytes, this often. */
  wrongBytes?: { file: string; times: number };
  /** Sends so many bytes more (or fewer) than listed. */
  wrongLength?: { file: string; by: number };
  /** Answers 500 to this many requests for a path that contains `path`. */
  fail?: { path: string; times: number };
  missing?: boolean;
  /** 401: no token; 403: the account has not accepted the terms. */
  gated?: 401 | 403;
  /** Never answers a request for a path that contains it. */
  silent?: string;
  /** Sends so many bytes of a body and then nothing. */
  stall?: { file: string; afterBytes: number; times: number };
  /** Replaces the list of files. */
  siblings?: unknown;
}

export interface SeenRequest {
  server: 'hub' | 'storage';
  path: string;
  range: string | undefined;
  authorization: string | undefined;
}

export interface TestHub {
  endpoint: string;
  switches: HubSwitches;
  requests: SeenRequest[];
  close(): Promise<void>;
}

export const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
export const gitSha1 = (bytes: Uint8Array) =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

/** @param files name -> content; names that end in .safetensors are stored as large files. */
export async function startTestHub(files: Record<string, Uint8Array>): Promise<TestHub> {
  const isLarge = (name: string) => name.endsWith('.safetensors');
  const etag = (name: string) => (isLarge(name) ? sha256(files[name]!) : gitSha1(files[name]!));
  const requests: SeenRequest[] = [];
  const switches: HubSwitches = {};

  const see = (server: SeenRequest['server'], req: IncomingMessage) => {
    const { range, authorization } = req.headers;
    requests.push({ server, path: req.url!, range, authorization });
    if (switches.silent !== undefined && req.url!.includes(switches.silent)) return 'silent';
    if (switches.fail && switches.fail.times > 0 && req.url!.includes(switches.fail.path)) {
      switches.fail.times--;
      return 'failing';
    }
    return 'well';
  };

  const storage = createServer((req, res) => {
    const state = see('storage', req);
    if (state === 'silent') return;
    if (state === 'failing') return void res.writeHead(500).end();
    const name = decodeURIComponent(req.url!.split('?')[0]!.split('/').at(-1)!);
    sendFile(req, res, name, files[name]!, { etag: `"${etag(name)}"` }, switches);
  });

  const hub = createServer((req, res) => {
    const state = see('hub', req);
    if (state === 'silent') return;
    if (state === 'failing') return void res.writeHead(500, { 'x-error-message': 'Internal Error' }).end();
    const path = decodeURIComponent(req.url!.split('?')[0]!);
    if (switches.missing) {
      // Without a token the hub does not tell whether a repository exists.
      const headers = { 'x-error-code': 'RepoNotFound', 'x-error-message': 'Repository not found' };
      return void res.writeHead(req.headers.authorization ? 404 : 401, headers).end('{"error":"Repository not found"}');
    }
    if (path.startsWith('/api/models/')) {
      const siblings = Object.entries(files).map(([rfilename, bytes]) =>
        isLarge(rfilename)
          ? {
              rfilename,
              size: bytes.length,
              blobId: gitSha1(new TextEncoder().encode(`pointer of ${rfilename}`)),
              lfs: { sha256: sha256(bytes), size: bytes.length, pointerSize: 134 },
            }
          : { rfilename, size: bytes.length, blobId: gitSha1(bytes) },
      );
      res.writeHead(200, { 'content-type': 'application/json', 'x-repo-commit': SHA });
      return void res.end(JSON.stringify({ id: REPO, sha: SHA, siblings: switches.siblings ?? siblings }));
    }
    const name = path.split('/').at(-1)!;
    if (switches.gated) {
      const headers = { 'x-error-code': 'GatedRepo', 'x-error-message': `Access to model ${REPO} is restricted.` };
      return void res.writeHead(switches.gated, headers).end();
    }
    if (!files[name]) return void res.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    if (path.startsWith('/api/resolve-cache/')) {
      return sendFile(req, res, name, files[name], { etag: `"${etag(name)}"`, 'x-repo-commit': SHA }, switches);
    }
    const linked = { 'x-repo-commit': SHA, 'x-linked-etag': `"${etag(name)}"`, 'x-linked-size': files[name].length };
    if (isLarge(name)) {
      const location = `http://127.0.0.1:${portOf(storage)}/signed/${encodeURIComponent(name)}?X-Amz-Signature=secret`;
      return void res.writeHead(302, { ...linked, location }).end('Found. Redirecting');
    }
    const location = `/api/resolve-cache/models/${REPO}/${SHA}/${encodeURIComponent(name)}?etag=${etag(name)}`;
    res.writeHead(307, { ...linked, location }).end('Temporary Redirect');
  });

  await Promise.all([listen(hub), listen(storage)]);
  return {
    endpoint: `http://127.0.0.1:${portOf(hub)}`,
    switches,
    requests,
    async close() {
      await Promise.all([stop(hub), stop(storage)]);
    },
  };
}

function sendFile(
  req: IncomingMessage,
  res: ServerResponse,
  name: string,
  content: Uint8Array,
  headers: Record<string, string>,
  switches: HubSwitches,
): void {
  let bytes = content;
  if (switches.wrongBytes?.file === name && switches.wrongBytes.times > 0) {
    switches.wrongBytes.times--;
    bytes = content.map((byte) => byte ^ 1);
  }
  if (switches.wrongLength?.file === name) {
    const longer = new Uint8Array(content.length + switches.wrongLength.by);
    longer.set(content.subarray(0, longer.length));
    bytes = longer;
  }
  const range = switches.ignoreRange ? null : /^bytes=(\d+)-$/.exec(req.headers.range ?? '');
  const from = range ? Number(range[1]) : 0;
  if (range && (switches.refuseRange || from >= bytes.length)) {
    return void res.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
  }
  const body = bytes.subarray(from);
  const part = range ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {};
  res.writeHead(range ? 206 : 200, { ...headers, ...part, 'content-length': body.length, 'accept-ranges': 'bytes' });
  for (const kind of ['drop', 'stall'] as const) {
    const rule = switches[kind];
    if (rule?.file !== name || rule.times <= 0) continue;
    rule.times--;
    res.write(body.subarray(0, rule.afterBytes), () => {
      // Time for the client to read what was sent before the reset overtakes it.
      if (kind === 'drop') setTimeout(() => res.destroy(), 20);
    });
    return;
  }
  res.end(body);
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
