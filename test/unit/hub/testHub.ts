// A small Hugging Face hub on loopback: real paths, headers and redirects, and switches for everything that goes wrong.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

export const REPO = 'alpaca-lab/Tiny-Llama';
export const SHA = '0123456789abcdef0123456789abcdef01234567';

/** What the hub says with 401 and 403 of a gated repository. */
export const GATED = {
  loggedOut: `Access to model ${REPO} is restricted. You must have access to it and be authenticated to access it. Please log in.`,
  notAccepted: `Access to model ${REPO} is restricted and you are not in the authorized list. Visit https://huggingface.co/${REPO} to ask for access.`,
  pending: `Your request to access model ${REPO} is awaiting a review from the repo authors.`,
};

export interface HubSwitches {
  /** Cuts the connection after so many bytes of a body, this often. */
  drop?: { file: string; afterBytes: number; times: number };
  /** The same with a reset of the connection. */
  reset?: { file: string; afterBytes: number; times: number };
  /** Storage answers 200 with everything, whatever the Range. */
  ignoreRange?: boolean;
  /** Storage answers any Range with 416. */
  refuseRange?: boolean;
  /** Answers a range with one that begins a byte later, this often. */
  wrongRange?: { times: number };
  /** Compresses, whatever the Accept-Encoding; without Range and Content-Length. */
  gzip?: boolean;
  /** Leaves the Content-Length out. */
  chunked?: boolean;
  /** Sends the right number of wrong bytes, this often. */
  wrongBytes?: { file: string; times: number };
  /** The first requests see another file under the same name, with another ETag. */
  oldVersion?: { file: string; times: number };
  /** Every answer of the storage has another ETag. */
  strayTags?: boolean;
  /** Sends so many bytes more (or fewer) than listed. */
  wrongLength?: { file: string; by: number };
  /** Answers 500, or what is said here, to this many requests for a path that contains `path`. */
  fail?: { path: string; times: number; status?: number; headers?: Record<string, string> };
  /** A signed address is good for so many requests. */
  signedUses?: number;
  missing?: boolean;
  /** 401: no token; 403: the account has not accepted the terms. */
  gated?: 401 | 403;
  gatedMessage?: string;
  /** Never answers a request for a path that contains it. */
  silent?: string;
  /** Sends so many bytes of a body and then nothing. */
  stall?: { file: string; afterBytes: number; times: number };
  /** Bytes a second, all bodies together. */
  pace?: number;
  /** Replaces the list of files. */
  siblings?: unknown;
}

export interface SeenRequest {
  server: 'hub' | 'storage';
  method: string;
  path: string;
  range: string | undefined;
  ifRange: string | undefined;
  authorization: string | undefined;
}

export interface TestHub {
  endpoint: string;
  switches: HubSwitches;
  requests: SeenRequest[];
  /** Bytes of each file that were handed to connections, by name. */
  served: Map<string, number>;
  close(): Promise<void>;
}

export const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
export const gitSha1 = (bytes: Uint8Array) =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

/** @param files name -> content; names that end in .safetensors are stored as large files. */
export async function startTestHub(files: Record<string, Uint8Array>): Promise<TestHub> {
  const isLarge = (name: string) => name.endsWith('.safetensors');
  const etags = new Map<string, string>();
  const etag = (name: string) => {
    const known = etags.get(name) ?? (isLarge(name) ? sha256(files[name]!) : gitSha1(files[name]!));
    etags.set(name, known);
    return known;
  };
  const requests: SeenRequest[] = [];
  const switches: HubSwitches = {};
  const served = new Map<string, number>();
  const uses = new Map<string, number>();
  let signatures = 0;

  /** @returns true when the request has been dealt with. */
  const see = (server: SeenRequest['server'], req: IncomingMessage, res: ServerResponse) => {
    const { range, authorization, 'if-range': ifRange } = req.headers;
    requests.push({
      server,
      method: req.method!,
      path: req.url!,
      range,
      ifRange: ifRange as string | undefined,
      authorization,
    });
    if (switches.silent !== undefined && req.url!.includes(switches.silent)) return true;
    const { fail } = switches;
    if (!fail || fail.times <= 0 || !req.url!.includes(fail.path)) return false;
    fail.times--;
    res.writeHead(
      fail.status ?? 500,
      fail.headers ?? (server === 'hub' ? { 'x-error-message': 'Internal Error' } : {}),
    );
    res.end();
    return true;
  };

  const storage = createServer((req, res) => {
    if (see('storage', req, res)) return;
    const used = (uses.get(req.url!) ?? 0) + 1;
    uses.set(req.url!, used);
    if (used > (switches.signedUses ?? Number.POSITIVE_INFINITY))
      return void res.writeHead(403).end('Request has expired');
    const name = decodeURIComponent(req.url!.split('?')[0]!.slice('/signed/'.length));
    sendFile(req, res, name, files[name]!, { etag: `"${etag(name)}"` }, switches, served);
  });

  const hub = createServer((req, res) => {
    if (see('hub', req, res)) return;
    const path = decodeURIComponent(req.url!.split('?')[0]!);
    if (switches.missing) {
      // Without a token the hub does not tell whether a repository exists.
      const headers = { 'x-error-code': 'RepoNotFound', 'x-error-message': 'Repository not found' };
      return void res.writeHead(req.headers.authorization ? 404 : 401, headers).end('{"error":"Repository not found"}');
    }
    if (/^\/api\/models\/[^/]+\/[^/]+\/tree\//.test(path)) return json(res, Object.keys(files).map(treeEntry));
    if (path.startsWith('/api/models/')) {
      return json(res, { id: REPO, sha: SHA, siblings: switches.siblings ?? Object.keys(files).map(sibling) });
    }
    if (switches.gated) {
      const usual = switches.gated === 401 ? GATED.loggedOut : GATED.notAccepted;
      const headers = { 'x-error-code': 'GatedRepo', 'x-error-message': switches.gatedMessage ?? usual };
      return void res.writeHead(switches.gated, headers).end();
    }
    const cached = path.startsWith('/api/resolve-cache/');
    const name = path
      .split('/')
      .slice(cached ? 7 : 5)
      .join('/');
    if (!files[name]) return void res.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    if (cached) {
      const headers = { etag: `"${etag(name)}"`, 'x-repo-commit': SHA };
      return sendFile(req, res, name, files[name], headers, switches, served);
    }
    const linked = { 'x-repo-commit': SHA, 'x-linked-etag': `"${etag(name)}"`, 'x-linked-size': files[name].length };
    if (isLarge(name)) {
      const query = `X-Amz-Signature=secret${signatures++}`;
      const location = `http://127.0.0.1:${portOf(storage)}/signed/${encodeURIComponent(name)}?${query}`;
      return void res.writeHead(302, { ...linked, location }).end('Found. Redirecting');
    }
    const location = `/api/resolve-cache/models/${REPO}/${SHA}/${encodeURIComponent(name)}?etag=${etag(name)}`;
    res.writeHead(307, { ...linked, location }).end('Temporary Redirect');
  });

  const lfs = (name: string) => ({ size: files[name]!.length, pointerSize: 134 });
  const pointer = (name: string) => gitSha1(new TextEncoder().encode(`pointer of ${name}`));
  function sibling(rfilename: string) {
    const size = files[rfilename]!.length;
    if (!isLarge(rfilename)) return { rfilename, size, blobId: etag(rfilename) };
    return { rfilename, size, blobId: pointer(rfilename), lfs: { sha256: etag(rfilename), ...lfs(rfilename) } };
  }
  function treeEntry(path: string) {
    const entry = { type: 'file', path, size: files[path]!.length };
    if (!isLarge(path)) return { ...entry, oid: etag(path) };
    return { ...entry, oid: pointer(path), lfs: { oid: etag(path), ...lfs(path) } };
  }

  await Promise.all([listen(hub), listen(storage)]);
  return {
    endpoint: `http://127.0.0.1:${portOf(hub)}`,
    switches,
    requests,
    served,
    async close() {
      await Promise.all([stop(hub), stop(storage)]);
    },
  };
}

function json(res: ServerResponse, value: unknown): void {
  res.writeHead(200, { 'content-type': 'application/json', 'x-repo-commit': SHA });
  res.end(JSON.stringify(value));
}

function sendFile(
  req: IncomingMessage,
  res: ServerResponse,
  name: string,
  content: Uint8Array,
  headers: Record<string, string>,
  switches: HubSwitches,
  served: Map<string, number>,
): void {
  let bytes = content;
  let { etag } = headers;
  if (switches.wrongBytes?.file === name && switches.wrongBytes.times > 0) {
    switches.wrongBytes.times--;
    bytes = flipped(content, 1);
  }
  if (switches.oldVersion?.file === name && switches.oldVersion.times > 0) {
    switches.oldVersion.times--;
    bytes = flipped(content, 2);
    etag = '"of-an-older-file"';
  }
  if (switches.strayTags) etag = `"${strays++}"`;
  if (switches.wrongLength?.file === name) {
    const longer = new Uint8Array(content.length + switches.wrongLength.by);
    longer.set(content.subarray(0, longer.length));
    bytes = longer;
  }
  const count = (sent: number) => served.set(name, (served.get(name) ?? 0) + sent);
  if (switches.gzip) {
    const body = gzipSync(bytes, { level: 0 });
    count(bytes.length);
    return void res.writeHead(200, { ...headers, 'content-encoding': 'gzip' }).end(body);
  }
  const ifRange = req.headers['if-range'];
  const ignore = switches.ignoreRange || (ifRange !== undefined && ifRange !== etag);
  const range = ignore ? null : /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '');
  let from = range ? Number(range[1]) : 0;
  if (range && (switches.refuseRange || from >= bytes.length)) {
    return void res.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
  }
  if (range && switches.wrongRange && switches.wrongRange.times > 0) {
    switches.wrongRange.times--;
    from++;
  }
  const to = range?.[2] ? Math.min(Number(range[2]) + 1, bytes.length) : bytes.length;
  const body = bytes.subarray(from, to);
  const part = range ? { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` } : {};
  const length = switches.chunked ? {} : { 'content-length': body.length };
  res.writeHead(range ? 206 : 200, { ...headers, etag, ...part, ...length, 'accept-ranges': 'bytes' });
  if (req.method === 'HEAD') return void res.end();
  for (const kind of ['drop', 'stall', 'reset'] as const) {
    const rule = switches[kind];
    if (rule?.file !== name || rule.times <= 0) continue;
    rule.times--;
    res.write(body.subarray(0, rule.afterBytes), () => {
      // Time for the client to read what was sent before the end overtakes it.
      if (kind === 'drop') setTimeout(() => res.destroy(), 20);
      if (kind === 'reset') setTimeout(() => res.socket?.resetAndDestroy(), 20);
    });
    count(Math.min(rule.afterBytes, body.length));
    return;
  }
  if (switches.pace) return void sendSlowly(res, body, switches, count);
  count(body.length);
  res.end(body);
}

let strays = 0;
const flips = new Map<Uint8Array, Uint8Array>();

/** All bytes changed; kept, because large files are asked for many times. */
function flipped(content: Uint8Array, mask: number): Uint8Array {
  const known = flips.get(content);
  if (known && (known[0]! ^ content[0]!) === mask) return known;
  const other = content.slice();
  for (let i = 0; i < other.length; i++) other[i]! ^= mask;
  flips.set(content, other);
  return other;
}

/** Small pieces, each given to the network when the one before it has gone, so that little is on its way at any time. */
async function sendSlowly(res: ServerResponse, body: Uint8Array, switches: HubSwitches, count: (sent: number) => void) {
  const piece = 64 << 10;
  for (let at = 0; at < body.length && !res.destroyed; at += piece) {
    const next = body.subarray(at, at + piece);
    if (!res.write(next)) await drained(res);
    count(next.length);
    paced = Math.max(paced, performance.now()) + (next.length / (switches.pace ?? 1e12)) * 1000;
    const wait = paced - performance.now();
    if (wait > 2) await sleep(wait);
  }
  res.end();
}
let paced = 0;

function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      res.off('drain', go).off('close', go);
      resolve();
    };
    res.on('drain', go).on('close', go);
  });
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

/** A proxy that knows CONNECT and absolute addresses, and notes what it was asked. */
export async function startTestProxy(login?: string): Promise<{ url: string; seen: string[]; close(): Promise<void> }> {
  const { connect } = await import('node:net');
  const { request } = await import('node:http');
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const allowed = (req: IncomingMessage) =>
    login === undefined || req.headers['proxy-authorization'] === `Basic ${Buffer.from(login).toString('base64')}`;
  const server = createServer((req, res) => {
    seen.push(`${req.method} ${req.url}`);
    if (!allowed(req)) return void res.writeHead(407, { 'proxy-authenticate': 'Basic' }).end();
    req.pipe(
      request(req.url!, { method: req.method, headers: req.headers }, (answer) => {
        res.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(res);
      }),
    );
  });
  server.on('connect', (req, socket: Socket) => {
    seen.push(`CONNECT ${req.url}`);
    if (!allowed(req)) return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    const [host, port] = req.url!.split(':');
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    for (const one of [onward, socket]) sockets.add(one.on('error', () => socket.destroy()));
  });
  await listen(server);
  return {
    url: `http://${login ? `${login}@` : ''}127.0.0.1:${portOf(server)}`,
    seen,
    async close() {
      for (const socket of sockets) socket.destroy();
      await stop(server);
    },
  };
}
