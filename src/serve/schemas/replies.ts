// What comes back. Only for the OpenAPI document and the tests: answers are made by our own code.
import { z } from 'zod';

const count = z.number().int().min(0);
const nullable = <T extends z.ZodType>(schema: T) => z.union([schema, z.null()]);

export const errorReply = z.strictObject({
  error: z.strictObject({
    message: z.string(),
    type: z.enum(['invalid_request_error', 'rate_limit_error', 'server_error']),
    param: nullable(z.string()),
    code: z.string(),
  }),
});

export const modelReply = z.strictObject({
  id: z.string(),
  object: z.literal('model'),
  created: count,
  owned_by: z.string(),
  parent: nullable(z.string()).describe('the base model of an adapter'),
});
export const modelListReply = z.strictObject({ object: z.literal('list'), data: z.array(modelReply) });

export const usageReply = z.strictObject({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: z.strictObject({ cached_tokens: count }),
});

export const reportReply = z
  .strictObject({
    mode: z.string().describe('how tokens were chosen, in words'),
    template: z.string().describe("how the prompt of a chat was made; all but 'chat' see the last message only"),
    seed: z.number().int().optional(),
    tokens_per_second: nullable(z.number()).describe('after the first token, all answers together'),
    queue_seconds: z.number(),
    prefill_seconds: z.number(),
    decode_seconds: z.number(),
  })
  .describe('in the last chunk of a stream, or in the answer');

const tokenLogprob = z.strictObject({ token: z.string(), logprob: z.number(), bytes: nullable(z.array(count)) });
const chatLogprobs = nullable(
  z.strictObject({
    content: z.array(z.strictObject({ ...tokenLogprob.shape, top_logprobs: z.array(tokenLogprob) })),
    refusal: z.null(),
  }),
);
const finishReason = z.enum(['stop', 'length', 'tool_calls']);
const toolCall = z.strictObject({
  id: z.string(),
  type: z.literal('function'),
  function: z.strictObject({ name: z.string(), arguments: z.string() }),
});
const stopReason = nullable(z.string()).describe('the stop text that was met');
const envelope = { id: z.string(), created: count, model: z.string(), system_fingerprint: z.string() };

export const chatReply = z.strictObject({
  ...envelope,
  object: z.literal('chat.completion'),
  choices: z.array(
    z.strictObject({
      index: count,
      message: z.strictObject({
        role: z.literal('assistant'),
        content: nullable(z.string()),
        refusal: z.null(),
        tool_calls: z.array(toolCall).optional(),
      }),
      logprobs: chatLogprobs,
      finish_reason: finishReason,
      stop_reason: stopReason,
    }),
  ),
  usage: usageReply,
  huacaya: reportReply,
});

export const chatChunk = z.strictObject({
  ...envelope,
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.strictObject({
      index: count,
      delta: z.strictObject({
        role: z.literal('assistant').optional(),
        content: z.string().optional(),
        tool_calls: z.array(z.strictObject({ index: count, ...toolCall.shape })).optional(),
      }),
      logprobs: chatLogprobs,
      finish_reason: nullable(finishReason),
      stop_reason: stopReason.optional(),
    }),
  ),
  usage: nullable(usageReply).optional(),
  huacaya: reportReply.optional(),
});

const completionChoice = z.strictObject({
  index: count,
  text: z.string(),
  logprobs: nullable(
    z.strictObject({
      tokens: z.array(z.string()),
      token_logprobs: z.array(z.number()),
      top_logprobs: z.array(z.record(z.string(), z.number())),
      text_offset: z.array(count),
    }),
  ),
  finish_reason: nullable(z.enum(['stop', 'length'])),
  stop_reason: stopReason.optional(),
});

export const completionReply = z.strictObject({
  ...envelope,
  object: z.literal('text_completion'),
  choices: z.array(completionChoice),
  usage: nullable(usageReply).optional().describe('always in a whole answer; in a stream with include_usage'),
  huacaya: reportReply.optional(),
});

export const modelEntryReply = z.strictObject({
  id: z.string(),
  kind: z.enum(['base', 'adapter']),
  template: z.string().describe("'chat' or the name of a prompt template"),
  remembers: z.boolean().describe('earlier turns are part of the prompt'),
  source: z.string().optional().describe('only where adapters may be changed'),
});

export const infoReply = z.strictObject({
  version: z.string(),
  base: z.string(),
  models: z.array(modelEntryReply),
  positions: count.describe('most tokens of prompt and answer together'),
  slots: count.describe('answers that run at the same time'),
  queue: count.describe('answers that may wait'),
  precision: z.string(),
  vocab_size: count,
  max_new_tokens: count,
  adapter_changes: z.boolean(),
  busy: count.describe('answers that run or wait now'),
});

export const deletedReply = z.strictObject({ id: z.string(), deleted: z.literal(true) });
export const healthReply = z.strictObject({ status: z.enum(['ok', 'draining']) });
