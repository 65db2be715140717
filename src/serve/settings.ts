// What a server may be told, what it does when it is told nothing, and what it refuses before it listens.
import { fileURLToPath } from 'node:url';
import type { Assistant } from '../assistant/index.ts';
import { usageError } from '../base/index.ts';
import type { TokenConstraint } from '../infer/index.ts';
import { hostName, isLoopback, urlHost } from './address.ts';
import { jsonConstraint } from './jsonConstraint.ts';
import { checkKey } from './keyCheck.ts';

export interface RequestRecord {
  id: string;
  method: string;
  /** Without the query. */
  path: string;
  status: number;
  seconds: number;
  promptTokens?: number;
  completionTokens?: number;
  /** The client left before the answer was complete. */
  cut: boolean;
}

export interface ServerSettings {
  /** Default 127.0.0.1; an address that others can reach needs a key. */
  host: string;
  /** Default 8000; 0: any free one. */
  port: number;
  /** Asked for by every route but /healthz and the page's files. */
  apiKey: string | undefined;
  /** Further names that a Host header may hold. */
  allowHosts: readonly string[];
  /** Pages of other origins that may call. */
  allowOrigins: readonly string[];
  /** Bytes of a body. Default 1 MiB. */
  maxBody: number;
  /** Answers that may wait. Default 64. */
  maxQueue: number;
  /** Longest answer in tokens that a client may ask for, and gets without asking; default: what the model has room for. */
  maxNewTokens: number | undefined;
  /** Seconds from a request to the end of its answer, waiting included. Default 600. */
  requestTimeout: number;
  /** Seconds that running answers get when the server ends. Default 30. */
  drainTimeout: number;
  /** Seconds without progress after which a client that does not read is dropped. Default 30. */
  writeTimeout: number;
  /** Connections at the same time. Default 512. */
  maxConnections: number;
  /** POST and DELETE /v1/huacaya/adapters. Default off. */
  allowAdapterChanges: boolean;
  /** The built page. */
  webFolder: string;
  /** What keeps an answer to a JSON schema; default: the constraints of `infer`. */
  jsonConstraint: (assistant: Assistant, schema: unknown) => TokenConstraint;
  /** After each request; never holds what was asked or answered. */
  onRequest: (record: RequestRecord) => void;
  /** What no client is told: failures of the server itself. */
  onError: (error: unknown) => void;
}

export type ServerOptions = Partial<ServerSettings>;

const defaults: ServerSettings = {
  host: '127.0.0.1',
  port: 8000,
  apiKey: undefined,
  allowHosts: [],
  allowOrigins: [],
  maxBody: 1 << 20,
  maxQueue: 64,
  maxNewTokens: undefined,
  requestTimeout: 600,
  drainTimeout: 30,
  writeTimeout: 30,
  maxConnections: 512,
  allowAdapterChanges: false,
  webFolder: fileURLToPath(new URL('../web/', import.meta.url)),
  jsonConstraint,
  onRequest: () => {},
  onError: () => {},
};

function whole(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  throw usageError(
    `${name} is ${value}; it must be a whole number from ${least}${most < 2 ** 53 - 1 ? ` to ${most}` : ''}`,
  );
}

function seconds(name: string, value: number): void {
  // Timers of Node hold 2^31 milliseconds.
  if (!(value > 0 && value <= 86_400)) throw usageError(`${name} is ${value}; use seconds above 0, at most 86400`);
}

/** @throws HuacayaError USAGE, in particular for an address that others can reach without a key. */
export function checkSettings(options: ServerOptions): ServerSettings {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const s: ServerSettings = { ...defaults, ...given };
  whole('port', s.port, 0, 65_535);
  whole('max-body', s.maxBody, 1024, 1 << 30);
  whole('max-queue', s.maxQueue, 0, 100_000);
  whole('max-connections', s.maxConnections, 1);
  if (s.maxNewTokens !== undefined) whole('max-new-tokens', s.maxNewTokens, 1);
  seconds('request-timeout', s.requestTimeout);
  seconds('drain-timeout', s.drainTimeout);
  seconds('write-timeout', s.writeTimeout);
  if (s.apiKey !== undefined) checkKey(s.apiKey);
  for (const host of s.allowHosts) {
    if (hostName(urlHost(host)) === undefined || /:\d+$/.test(urlHost(host))) {
      throw usageError(`allow-host ${JSON.stringify(host)} is no host name`, 'A name or an address, without port.');
    }
  }
  for (const origin of s.allowOrigins) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin || !/^https?:/.test(origin)) {
      throw usageError(
        `allow-origin ${JSON.stringify(origin)} is no origin`,
        'Write it like https://tools.example:8443',
      );
    }
  }
  if (!isLoopback(s.host) && s.apiKey === undefined) {
    throw usageError(
      `${s.host} can be reached from other machines, and there is no API key`,
      'Set HUACAYA_API_KEY or --api-key-file, or stay with --host 127.0.0.1.',
    );
  }
  return s;
}
