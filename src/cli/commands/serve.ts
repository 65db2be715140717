// huacaya serve: the model and its adapters behind OpenAI's API, and the page.
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { Assistant } from '../../assistant/index.ts';
import { HuacayaError, usageError } from '../../base/index.ts';
import { fileError } from '../../base/node.ts';
import {
  checkSettings,
  type RequestRecord,
  type RunningServer,
  type ServerOptions,
  startServer,
} from '../../serve/index.ts';
import { adaptersByName } from '../adapterFlags.ts';
import { addModelOptions, argument, loadFromFlags, type ModelFlags } from '../generation.ts';
import { numberOf } from '../knobs.ts';
import { openBrowser } from '../openBrowser.ts';
import type { Output } from '../output.ts';

interface ServeFlags extends ModelFlags {
  host: string;
  port: number;
  apiKey?: string;
  apiKeyFile?: string;
  allowHost?: string[];
  allowOrigin?: string[];
  maxBody: number;
  maxQueue: number;
  maxNewTokens?: number;
  requestTimeout: number;
  drainTimeout: number;
  allowAdapterChanges?: boolean;
  accessLog?: boolean;
  open?: boolean;
}

const several = (text: string, before: string[] = []) => [...before, text];

export function serveCommand(getOutput: () => Output): Command {
  const n = argument(numberOf);
  return addModelOptions(new Command('serve').description('OpenAI-compatible server, and a page to try the model on'))
    .option('--host <address>', 'address to listen on; one that others can reach needs a key', '127.0.0.1')
    .option('--port <n>', 'port to listen on; 0: any that is free', n, 8000)
    .option('--api-key <key>', 'key that clients must send; safer: HUACAYA_API_KEY or --api-key-file')
    .option('--api-key-file <file>', 'a file that holds the key')
    .option('--allow-host <name>', 'a further name that the server is called by; several: repeat it', several)
    .option('--allow-origin <origin>', 'a page elsewhere that may call, e.g. https://tools.example', several)
    .option('--max-body <bytes>', 'largest request', n, 1 << 20)
    .option('--max-queue <n>', 'answers that may wait; more get 429', n, 64)
    .option('--max-new-tokens <n>', 'longest answer that clients get (default: what the model has room for)', n)
    .option('--request-timeout <seconds>', 'longest time for an answer, waiting included', n, 600)
    .option('--drain-timeout <seconds>', 'time for running answers when the server ends', n, 30)
    .option('--allow-adapter-changes', 'clients may load and remove adapters from folders of this machine')
    .option('--access-log', 'a line for each request on stderr; never what was asked or answered')
    .option('--open', 'open the page in a browser')
    .addHelpText(
      'after',
      `
Each adapter is a model of its own, beside the base model. Ctrl-C lets running answers end; a second one does not.

Examples:
  huacaya serve --adapter runs/demo/adapter --open
  huacaya serve --base-model smollm2-135m-instruct --adapter short=runs/demo/adapter --port 8080
  HUACAYA_API_KEY=$(openssl rand -hex 24) huacaya serve --host 0.0.0.0 --allow-host my-machine.local`,
    )
    .action(async (flags: ServeFlags) => {
      const out = getOutput();
      const options = await optionsFrom(out, flags);
      const adapters = adaptersByName(flags.adapter ?? []);
      // Before a model is loaded for nothing.
      checkSettings(options);
      const assistant = await loadFromFlags(out, flags, adapters);
      try {
        const server = await startServer(assistant, options);
        announce(out, assistant, server);
        if (flags.open) openBrowser(server.url);
        const cut = await untilTold(out, server);
        if (cut > 0) throw new HuacayaError('ANSWERS_CUT', `${cut} answers were cut after ${flags.drainTimeout} s`);
      } finally {
        await assistant.close();
      }
    });
}

/** Flag > file > environment. @throws HuacayaError USAGE, FILE_*. */
async function keyFrom({ apiKey, apiKeyFile }: ServeFlags): Promise<string | undefined> {
  if (apiKey !== undefined && apiKeyFile !== undefined) throw usageError('give --api-key or --api-key-file, not both');
  if (apiKeyFile === undefined) return apiKey ?? (process.env.HUACAYA_API_KEY || undefined);
  const text = await readFile(apiKeyFile, 'utf8').catch((cause) => {
    throw fileError(apiKeyFile, cause);
  });
  return text.trim();
}

async function optionsFrom(out: Output, flags: ServeFlags): Promise<ServerOptions> {
  const apiKey = await keyFrom(flags);
  return {
    host: flags.host,
    port: flags.port,
    ...(apiKey !== undefined ? { apiKey } : {}),
    allowHosts: flags.allowHost ?? [],
    allowOrigins: flags.allowOrigin ?? [],
    maxBody: flags.maxBody,
    maxQueue: flags.maxQueue,
    ...(flags.maxNewTokens !== undefined ? { maxNewTokens: flags.maxNewTokens } : {}),
    requestTimeout: flags.requestTimeout,
    drainTimeout: flags.drainTimeout,
    allowAdapterChanges: flags.allowAdapterChanges ?? false,
    onError: (e) =>
      out.warn(`a request failed: ${e instanceof HuacayaError ? `${e.message} [${e.code}]` : stackOf(e)}`),
    ...(flags.accessLog ? { onRequest: (record) => logRequest(out, record) } : {}),
  };
}

const stackOf = (e: unknown) => (e as Error)?.stack ?? String(e);

function logRequest(out: Output, record: RequestRecord): void {
  const { method, path, status, seconds, promptTokens, completionTokens, cut, id } = record;
  const tokens = promptTokens === undefined ? '' : `, ${promptTokens} + ${completionTokens} tokens`;
  // The path is a stranger's: whatever in it could move a cursor is escaped.
  const shown = JSON.stringify(path.slice(0, 200)).slice(1, -1);
  out.say(
    `${new Date().toISOString()} ${method} ${shown} ${cut ? 'cut' : status} ${(seconds * 1000).toFixed(0)} ms${tokens} ${id}`,
  );
  out.json({ event: 'request', ...record });
}

function announce(out: Output, assistant: Assistant, { url, settings, port }: RunningServer): void {
  const { positions, slots, precision } = assistant.generator.info;
  const models = assistant.models.map(({ id, template }) => ({ id, template }));
  out.say(`listening on ${url}  (Ctrl-C ends it)`);
  out.say(`  API       ${url}v1, described by ${url}openapi.json`);
  for (const { id, template } of models) out.say(`  model     ${id}, template ${template}`);
  out.say(`  limits    ${positions} tokens, ${slots} answers at once, ${settings.maxQueue} waiting, ${precision}`);
  out.say(`  decoding  greedy where a client sets no temperature`);
  out.say(`  key       ${settings.apiKey === undefined ? 'none needed: only this machine can reach it' : 'needed'}`);
  if (settings.allowAdapterChanges) out.warn('clients may load adapters from folders of this machine');
  out.json({ event: 'listening', url, port, models, positions, slots, precision });
}

/** Ends with the first signal, once running answers have ended; the second one ends at once. */
function untilTold(out: Output, server: RunningServer): Promise<number> {
  return new Promise((resolve, reject) => {
    let told = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (told) {
        // As if nobody had listened: process.exit() in the middle of a native pass ends in an abort of its own.
        process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
        process.kill(process.pid, signal);
        return;
      }
      told = true;
      out.say('ending: running answers are finished first; Ctrl-C ends at once');
      server.drain().then(resolve, reject);
    };
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  });
}
