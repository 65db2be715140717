// POST /v1/chat/completions.
import { badRequest } from '../apiError.ts';
import { createChatForm } from '../chatForm.ts';
import type { ServerContext } from '../context.ts';
import { endsOf, envelopeOf } from '../envelope.ts';
import type { Exchange } from '../exchange.ts';
import { charactersOf, toChatMessages } from '../messages.ts';
import { checkTextLength, planAnswers, schemaOf } from '../plan.ts';
import { respond } from '../respond.ts';
import { type ChatBody, chatBodySchema, type InstructBody } from '../schemas/chat.ts';
import { toolFormatOf } from '../toolCalls.ts';
import { planTools } from '../toolChoice.ts';
import { validate } from '../validate.ts';

export async function chat(exchange: Exchange, context: ServerContext): Promise<void> {
  const body = validate(chatBodySchema, await exchange.json());
  const { assistant } = context;
  const { tokenizer } = assistant;
  const model = assistant.entry(body.model ?? assistant.id).id;
  const messages = toChatMessages(body.messages);
  const tools = planTools(body, toolFormatOf(tokenizer.chatTemplate));
  checkTextLength(context, charactersOf(messages) + (tools ? JSON.stringify(tools.tools).length : 0));
  const built = tools ? assistant.chatPrompt(model, messages, tools.tools) : assistant.chatPrompt(model, messages);
  const lead = tools?.forced?.lead ? tokenizer.encode(tools.forced.lead) : [];
  const plan = planAnswers(context, body, {
    prompts: [lead.length > 0 ? { ...built, ids: [...built.ids, ...lead] } : built],
    ...chatLimits(body),
    schema: tools?.forced?.schema ?? schemaOf(body),
  });
  const form = createChatForm({
    envelope: envelopeOf(context, plan.model, 'chatcmpl'),
    tokenizer,
    logprobs: body.logprobs ?? false,
    ends: endsOf(context, body),
    tools,
  });
  await respond(exchange, context, plan, form);
}

/** Fields that both forms of chat have. @throws ApiError 400. */
export function chatLimits(body: ChatBody | InstructBody) {
  const { max_tokens: older, max_completion_tokens: newer, logprobs, top_logprobs: top } = body;
  if (older && newer && older !== newer) {
    throw badRequest(`max_tokens is ${older} and max_completion_tokens is ${newer}; give one of them`, 'max_tokens');
  }
  if (top && !logprobs) throw badRequest('top_logprobs needs logprobs: true', 'top_logprobs');
  const name = newer ? 'max_completion_tokens' : 'max_tokens';
  const value = newer ?? older;
  return {
    maxTokens: value ? { name, value } : undefined,
    topLogprobs: logprobs ? (top ?? 0) : undefined,
  };
}
