// POST /v1/huacaya/instruct: the Alpaca form, answered in the shape of a chat completion.
import { createChatForm } from '../chatForm.ts';
import type { ServerContext } from '../context.ts';
import { endsOf, envelopeOf } from '../envelope.ts';
import type { Exchange } from '../exchange.ts';
import { checkTextLength, planAnswers, schemaOf } from '../plan.ts';
import { respond } from '../respond.ts';
import { instructBodySchema } from '../schemas/chat.ts';
import { validate } from '../validate.ts';
import { chatLimits } from './chat.ts';

export async function instruct(exchange: Exchange, context: ServerContext): Promise<void> {
  const body = validate(instructBodySchema, await exchange.json());
  const { assistant } = context;
  const model = assistant.entry(body.model ?? assistant.id).id;
  const { instruction, input } = body;
  checkTextLength(context, instruction.length + (input?.length ?? 0));
  const plan = planAnswers(context, body, {
    prompts: [assistant.instructionPrompt(model, { instruction, ...(input ? { input } : {}) })],
    ...chatLimits(body),
    schema: schemaOf(body),
  });
  const form = createChatForm({
    envelope: envelopeOf(context, plan.model, 'chatcmpl'),
    tokenizer: assistant.tokenizer,
    logprobs: body.logprobs ?? false,
    ends: endsOf(context, body),
    tools: undefined,
  });
  await respond(exchange, context, plan, form);
}
