// POST /v1/huacaya/adapters, DELETE /v1/huacaya/adapters/{id}: adapters come and go while the server runs, where its
// owner has allowed it: a client names a folder of the server's machine.
import { ApiError, badRequest } from '../apiError.ts';
import type { ServerContext } from '../context.ts';
import type { Exchange } from '../exchange.ts';
import { adapterBodySchema } from '../schemas/adapter.ts';
import { validate } from '../validate.ts';
import { entryOf } from './info.ts';

function checkAllowed({ settings }: ServerContext): void {
  if (settings.allowAdapterChanges) return;
  const message = 'adapters cannot be changed on this server; its owner can start it with --allow-adapter-changes';
  throw new ApiError(403, 'adapter_changes_off', message);
}

export async function addAdapter(exchange: Exchange, context: ServerContext): Promise<void> {
  checkAllowed(context);
  const { id, folder } = validate(adapterBodySchema, await exchange.json());
  const { assistant } = context;
  if (assistant.models.some((entry) => entry.id === id)) {
    throw new ApiError(409, 'name_taken', `there is a model with the id ${id} already`, { param: 'id' });
  }
  exchange.sendJson(201, entryOf(context, await assistant.addAdapter(id, folder)));
}

export async function removeAdapter(exchange: Exchange, context: ServerContext): Promise<void> {
  checkAllowed(context);
  const { assistant } = context;
  const entry = assistant.entry(exchange.param);
  if (entry.kind === 'base') throw badRequest('the base model cannot be removed');
  await assistant.removeAdapter(entry.id);
  exchange.sendJson(200, { id: entry.id, deleted: true });
}
