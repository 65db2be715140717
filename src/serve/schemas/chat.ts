// POST /v1/chat/completions, and the Alpaca form of it, POST /v1/huacaya/instruct.
import { z } from 'zod';
import { chatLogprobFields, commonFields } from './common.ts';

const textPart = z.strictObject({ type: z.literal('text'), text: z.string() });
const content = z.union([z.string(), z.array(textPart).min(1)], { error: 'text, or an array of text parts' });
const name = z.string().max(64).nullish();

const toolCall = z.strictObject({
  id: z.string().max(256),
  type: z.literal('function').nullish(),
  function: z.strictObject({ name: z.string().max(256), arguments: z.string().describe('JSON') }),
  index: z.number().int().nullish(),
});

/** Answers come back as history: what they hold beside text is accepted, and ignored where it is no text. */
const assistantMessage = z.strictObject({
  role: z.literal('assistant'),
  content: content.nullish(),
  tool_calls: z.array(toolCall).max(128).nullish(),
  name,
  refusal: z.string().nullish(),
  annotations: z.unknown().optional(),
  audio: z.null().optional(),
  function_call: z.null().optional(),
});

export const messageSchema = z.discriminatedUnion('role', [
  z.strictObject({ role: z.enum(['system', 'developer']), content, name }),
  z.strictObject({ role: z.literal('user'), content, name }),
  assistantMessage,
  z.strictObject({ role: z.literal('tool'), content, tool_call_id: z.string().max(256), name }),
]);
export type MessageBody = z.infer<typeof messageSchema>;

export const toolSchema = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: z.string().regex(/^[\w.-]{1,64}$/, 'letters, digits, ".", "-" and "_", at most 64'),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish().describe('a JSON schema'),
    strict: z.boolean().nullish(),
  }),
});
export type ToolBody = z.infer<typeof toolSchema>;

export const chatBodySchema = z.strictObject({
  messages: z.array(messageSchema).min(1).max(4096),
  ...commonFields,
  ...chatLogprobFields,
  tools: z.array(toolSchema).max(128).nullish().describe("handed to the model's chat template"),
  tool_choice: z
    .union(
      [
        z.enum(['none', 'auto', 'required']),
        z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: z.string() }) }),
      ],
      { error: 'none, auto, required, or {type: "function", function: {name}}' },
    )
    .nullish(),
  parallel_tool_calls: z.boolean().nullish().describe('false: at most one call an answer'),
  modalities: z.array(z.literal('text')).nullish(),
});
export type ChatBody = z.infer<typeof chatBodySchema>;

export const instructBodySchema = z.strictObject({
  instruction: z.string().min(1),
  input: z.string().nullish().describe('text that the instruction is about'),
  ...commonFields,
  ...chatLogprobFields,
});
export type InstructBody = z.infer<typeof instructBodySchema>;
