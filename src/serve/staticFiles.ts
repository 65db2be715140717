// The page: files of one folder, read once at start into a table. What is not in the table is not there, so no path can
// lead out of the folder.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fileError } from '../base/node.ts';
import type { Exchange } from './exchange.ts';

interface StaticFile {
  bytes: Uint8Array;
  gzip: Uint8Array | undefined;
  type: string;
  etag: string;
  cache: string;
}

/** Path -> file, '/' included. */
export type StaticFiles = ReadonlyMap<string, StaticFile>;

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
};

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const missing = `Huacaya's server runs. The page is not built: run "npm run build" in the project's folder and start again.
The API is under /v1; GET /openapi.json describes it.
`;

/** @throws HuacayaError FILE_UNREADABLE; a folder that is not there gives a page that says so. */
export async function readStaticFiles(folder: string): Promise<StaticFiles> {
  const files = new Map<string, StaticFile>();
  for (const path of await list(folder)) {
    const type = types[extname(path)];
    if (!type) continue;
    const bytes = await readFile(path).catch((cause) => {
      throw fileError(path, cause);
    });
    const name = `/${relative(folder, path).split(sep).join('/')}`;
    files.set(name === '/index.html' ? '/' : name, fileOf(bytes, type, name));
  }
  if (!files.has('/')) files.set('/', fileOf(new TextEncoder().encode(missing), types['.txt']!, '/'));
  return files;
}

async function list(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw fileError(folder, cause);
  }
}

function fileOf(bytes: Uint8Array, type: string, name: string): StaticFile {
  const packed = /^(text|application|image\/svg)/.test(type) ? gzipSync(bytes, { level: 9 }) : undefined;
  // Vite puts a hash of the content into these names.
  const fixed = /^\/assets\/.+-[\w-]{8,}\.\w+$/.test(name);
  return {
    bytes,
    gzip: packed && packed.length < bytes.length * 0.95 ? packed : undefined,
    type,
    etag: createHash('sha256').update(bytes).digest('base64url').slice(0, 22),
    cache: fixed ? 'public, max-age=31536000, immutable' : 'no-cache',
  };
}

export function sendStatic({ request, response, send }: Exchange, file: StaticFile): void {
  const gzip = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(String(request.headers['accept-encoding'] ?? ''));
  const packed = gzip ? file.gzip : undefined;
  const etag = `"${file.etag}${packed ? '-gz' : ''}"`;
  const headers = {
    'cache-control': file.cache,
    'content-security-policy': policy,
    vary: 'accept-encoding',
    etag,
    ...(packed ? { 'content-encoding': 'gzip' } : {}),
  };
  const known = (request.headers['if-none-match'] ?? '').split(/\s*,\s*/);
  if (known.includes(etag) || known.includes(`W/${etag}`)) {
    response.writeHead(304, headers).end();
    return;
  }
  send(200, file.type, packed ?? file.bytes, headers);
}
