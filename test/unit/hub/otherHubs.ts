// Loopback servers with the addresses of a data set on the hub, and of ModelScope.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gitSha1, sha256 } from './testHub.ts';

export interface OtherHub {
  endpoint: string;
  /** Paths with queries, in order. */
  seen: { path: string; authorization: string | undefined }[];
  close(): Promise<void>;
}

type Files = Record<string, Uint8Array>;
type Answer = (path: string, query: URLSearchParams) => object | Uint8Array | undefined;

/** GET /api/datasets/{repo}/revision/{revision}, GET /datasets/{repo}/resolve/{sha}/{file} */
export function startDatasetHub(repo: string, sha: string, files: Files): Promise<OtherHub> {
  return start((path) => {
    if (path.startsWith(`/api/datasets/${repo}/revision/`)) {
      const siblings = Object.entries(files).map(([rfilename, bytes]) => ({
        rfilename,
        size: bytes.length,
        blobId: gitSha1(bytes),
      }));
      return { sha, siblings };
    }
    const name = within(path, `/datasets/${repo}/resolve/${sha}/`);
    return name === undefined ? undefined : files[name];
  });
}

/** GET /api/v1/models/{repo}/repo/files, GET /models/{repo}/resolve/{revision}/{file}; `files` may change while it runs. */
export function startModelScope(repo: string, files: Files): Promise<OtherHub> {
  return start((path, query) => {
    if (path === `/api/v1/models/${repo}/repo/files` && query.get('Revision') === 'master') {
      const folders = [{ Name: 'sub', Path: 'sub', Type: 'tree', Size: 0, Sha256: '' }];
      const list = Object.entries(files).map(([Path, bytes]) => ({
        Name: Path.split('/').at(-1),
        Path,
        Type: 'blob',
        Size: bytes.length,
        Sha256: sha256(bytes),
        IsLFS: bytes.length > 1000,
      }));
      return { Code: 200, Success: true, Message: 'success', Data: { Files: [...folders, ...list] } };
    }
    if (path.startsWith('/api/v1/')) return { Code: 10010205001, Success: false, Message: 'Record not found.' };
    const name = within(path, `/models/${repo}/resolve/master/`);
    return name === undefined ? undefined : files[name];
  });
}

const within = (path: string, folder: string) => (path.startsWith(folder) ? path.slice(folder.length) : undefined);

async function start(answer: Answer): Promise<OtherHub> {
  const seen: OtherHub['seen'] = [];
  const server = createServer((req, res) => {
    seen.push({ path: req.url!, authorization: req.headers.authorization });
    const { pathname, searchParams } = new URL(req.url!, 'http://localhost');
    const found = answer(decodeURIComponent(pathname), searchParams);
    if (found === undefined) return void res.writeHead(404).end();
    if (!(found instanceof Uint8Array)) return void res.end(JSON.stringify(found));
    sendRange(req, res, found);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function sendRange(req: IncomingMessage, res: ServerResponse, bytes: Uint8Array): void {
  const range = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '');
  const from = Number(range?.[1] ?? 0);
  const to = range?.[2] ? Number(range[2]) + 1 : bytes.length;
  const body = bytes.subarray(from, to);
  const part = range ? { 'content-range': `bytes ${from}-${from + body.length - 1}/${bytes.length}` } : {};
  res.writeHead(range ? 206 : 200, { 'content-length': body.length, ...part }).end(req.method === 'HEAD' ? '' : body);
}
