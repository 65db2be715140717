// GET /v1/models, GET /v1/models/{id}.
import type { ModelEntry } from '../../assistant/index.ts';
import type { ServerContext } from '../context.ts';
import type { Exchange } from '../exchange.ts';

const shape = ({ assistant, created }: ServerContext, { id, kind }: ModelEntry) => ({
  id,
  object: 'model',
  created,
  owned_by: 'huacaya',
  parent: kind === 'adapter' ? assistant.id : null,
});

export function listModels(exchange: Exchange, context: ServerContext): void {
  exchange.sendJson(200, { object: 'list', data: context.assistant.models.map((entry) => shape(context, entry)) });
}

/** @throws HuacayaError UNKNOWN_MODEL. */
export function showModel(exchange: Exchange, context: ServerContext): void {
  exchange.sendJson(200, shape(context, context.assistant.entry(exchange.param)));
}
