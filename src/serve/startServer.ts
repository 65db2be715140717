// Puts the parts together and listens; ends without losing an answer where it can.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Assistant } from '../assistant/index.ts';
import { HuacayaError, usageError } from '../base/index.ts';
import { isLoopback, urlHost } from './address.ts';
import { createAdmission } from './admission.ts';
import type { ServerContext } from './context.ts';
import { createGate } from './gate.ts';
import { createHandler, shuttingDown } from './handler.ts';
import { createMeters } from './meters.ts';
import { createRouter } from './router.ts';
import { openRoutes, routesOf } from './routes/table.ts';
import { checkSettings, type ServerOptions, type ServerSettings } from './settings.ts';
import { readStaticFiles } from './staticFiles.ts';

export interface RunningServer {
  /** Where a browser on this machine finds it. */
  readonly url: string;
  readonly port: number;
  readonly settings: Readonly<ServerSettings>;
  /**
   * New requests get 503, running answers get `drainTimeout` to end, then the server is closed.
   * @returns how many requests had to be cut.
   */
  drain(): Promise<number>;
  /** At once: running answers are cut. */
  close(): Promise<void>;
}

/** Headers come at once or not at all; bodies are small. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
/** Longer than the minute that load balancers keep idle connections: the side that asks should be the one to close. */
const KEEP_ALIVE_MS = 65_000;

/**
 * Serves an assistant over HTTP. The assistant stays the caller's: it is not closed with the server.
 * @throws HuacayaError USAGE for settings that contradict each other or are unsafe, PORT_TAKEN, CANNOT_LISTEN.
 */
export async function startServer(assistant: Assistant, options: ServerOptions = {}): Promise<RunningServer> {
  const settings = checkSettings(options);
  const files = await readStaticFiles(settings.webFolder);
  const admission = createAdmission({ slots: assistant.generator.info.slots, queue: settings.maxQueue });
  const context: ServerContext = {
    assistant,
    settings,
    admission,
    meters: createMeters(assistant, admission),
    running: new Set(),
    created: Math.floor(Date.now() / 1000),
    draining: false,
  };
  const gate = createGate({
    apiKey: settings.apiKey,
    hosts: [settings.host, ...settings.allowHosts].map((host) => host.replace(/^\[(.*)\]$/, '$1')),
    origins: settings.allowOrigins,
    isOpen: (path) => openRoutes.has(path) || files.has(path),
  });
  const handle = createHandler(context, { gate, router: createRouter(routesOf(context)), files });
  const server = createServer({ connectionsCheckingInterval: 5000, keepAliveTimeout: KEEP_ALIVE_MS });
  server.headersTimeout = HEADERS_MS;
  server.requestTimeout = REQUEST_MS;
  server.maxConnections = settings.maxConnections;
  server.on('request', (request, response) => void handle(request, response));
  // Nobody sends a body before the gate has said yes.
  server.on('checkContinue', (request, response) => void handle(request, response, true));
  server.on('checkExpectation', (request, response) => void handle(request, response));

  server.listen({ host: settings.host.replace(/^\[(.*)\]$/, '$1'), port: settings.port });
  await once(server, 'listening').catch((cause) => {
    throw cannotListen(settings, cause);
  });
  const { port, address } = server.address() as AddressInfo;
  if (settings.apiKey === undefined && !isLoopback(address)) {
    server.close();
    throw usageError(`${settings.host} is ${address}, which other machines can reach, and there is no API key`);
  }

  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  const end = async () => {
    context.draining = true;
    for (const cut of context.running) cut(shuttingDown());
    server.close();
    // A last moment for what was cut to say so.
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 500).unref())]);
    server.closeAllConnections();
    await closed;
    context.meters.close();
  };
  const anywhere = ['0.0.0.0', '::', '[::]'].includes(settings.host);
  return {
    url: `http://${anywhere ? 'localhost' : urlHost(settings.host)}:${port}/`,
    port,
    settings,
    async drain() {
      context.draining = true;
      const limit = performance.now() + settings.drainTimeout * 1000;
      while (context.running.size > 0 && performance.now() < limit) await new Promise((r) => setTimeout(r, 20));
      const cut = context.running.size;
      await end();
      return cut;
    },
    close: end,
  };
}

function cannotListen({ host, port }: ServerSettings, cause: NodeJS.ErrnoException): HuacayaError {
  const where = `${urlHost(host)}:${port}`;
  if (cause.code === 'EADDRINUSE') {
    return new HuacayaError('PORT_TAKEN', `${where} is taken by another program`, {
      hint: 'Choose another --port, or --port 0 for any that is free.',
      exitCode: 2,
      cause,
    });
  }
  return new HuacayaError('CANNOT_LISTEN', `cannot listen on ${where}: ${cause.message}`, { exitCode: 2, cause });
}
