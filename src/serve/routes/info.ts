// GET /v1/huacaya/info: what runs here, for the page and for people.
import type { ModelEntry } from '../../assistant/index.ts';
import { version } from '../../version.ts';
import type { ServerContext } from '../context.ts';
import type { Exchange } from '../exchange.ts';

/** Paths of the machine are only for those who may name some. */
export const entryOf = ({ settings }: ServerContext, { source, ...entry }: ModelEntry) => ({
  ...entry,
  ...(source !== undefined && settings.allowAdapterChanges ? { source } : {}),
});

export function info(exchange: Exchange, context: ServerContext): void {
  const { assistant, settings, admission } = context;
  const { positions, slots, precision, vocabSize } = assistant.generator.info;
  exchange.sendJson(200, {
    version,
    base: assistant.id,
    models: assistant.models.map((entry) => entryOf(context, entry)),
    positions,
    slots,
    queue: settings.maxQueue,
    precision,
    vocab_size: vocabSize,
    max_new_tokens: settings.maxNewTokens ?? positions,
    adapter_changes: settings.allowAdapterChanges,
    busy: admission.busy,
  });
}
