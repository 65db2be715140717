// Fields that every way to ask has, named as OpenAI names them, the rest as vLLM does. They validate bodies and make the
// OpenAPI document. null is the same as left out.
import { z } from 'zod';

/** Ceilings that no model of this family needs to pass. */
const MOST_CHOICES = 16;
const MOST_STOPS = 16;
const MOST_BIASES = 1024;

const count = z.number().int();
/** Accepted because clients send them, without any effect on an answer. */
const ignored = z.unknown().describe('accepted, has no effect');

export const responseFormatSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }).describe('some JSON object'),
  z
    .strictObject({
      type: z.literal('json_schema'),
      json_schema: z.strictObject({
        name: z.string().max(64).nullish(),
        description: z.string().nullish(),
        schema: z.union([z.record(z.string(), z.unknown()), z.boolean()]).describe('a JSON schema'),
        strict: z.boolean().nullish().describe('the schema is always kept to'),
      }),
    })
    .describe('JSON that the schema allows'),
]);

export const commonFields = {
  model: z.string().max(512).nullish().describe('id of a model of /v1/models; default: the base model'),
  stream: z.boolean().nullish().describe('send server-sent events as the answer comes'),
  stream_options: z
    .strictObject({
      include_usage: z.boolean().nullish().describe('a last chunk with the token counts'),
      include_obfuscation: ignored.optional(),
    })
    .nullish(),
  n: count.min(1).max(MOST_CHOICES).nullish().describe('answers to each prompt; above 1 it needs a temperature'),
  temperature: z
    .number()
    .min(0)
    .max(100)
    // Below it a float32 cannot hold a logit divided by it.
    .refine((t) => t === 0 || t >= 1e-6, 'use 0, or at least 0.000001')
    .nullish()
    .describe('0, the default, is greedy'),
  top_p: z.number().gt(0).max(1).nullish().describe('sample from the most probable tokens up to this share'),
  top_k: count.min(-1).nullish().describe('sample from so many tokens; 0 or -1: all'),
  min_p: z.number().min(0).max(1).nullish().describe("least share of the most probable token's probability"),
  repetition_penalty: z.number().min(0.01).max(100).nullish().describe('above 1: less of what was said'),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z
    .record(z.string().regex(/^\d{1,9}$/, 'keys are token ids'), z.number().min(-100).max(100))
    .refine((map) => Object.keys(map).length <= MOST_BIASES, `at most ${MOST_BIASES} tokens`)
    .nullish()
    .describe('added to the logits of single tokens, by id'),
  seed: z.number().int().nullish().describe('default: a new one each time; the answer names it'),
  stop: z
    .union([z.string().min(1).max(256), z.array(z.string().min(1).max(256)).max(MOST_STOPS)])
    .nullish()
    .describe('texts at which the answer ends'),
  stop_token_ids: z.array(count.min(0)).max(64).nullish().describe('tokens at which the answer ends'),
  ignore_eos: z.boolean().nullish().describe("go on past the model's own end"),
  max_tokens: count.min(1).nullish().describe('longest answer in tokens'),
  response_format: responseFormatSchema.nullish(),
  adapter_scale: z.number().min(0).max(10).nullish().describe("factor on the adapter's own scale; 0 is the base model"),
  user: ignored.optional(),
  store: ignored.optional(),
  metadata: ignored.optional(),
  service_tier: ignored.optional(),
  safety_identifier: ignored.optional(),
  prompt_cache_key: ignored.optional(),
  prompt_cache_retention: ignored.optional(),
};

export const chatLogprobFields = {
  logprobs: z.boolean().nullish().describe('log-probabilities of the tokens'),
  top_logprobs: count.min(0).max(20).nullish().describe('and of so many of the most probable ones'),
  max_completion_tokens: count.min(1).nullish().describe('the newer name of max_tokens'),
};

const commonSchema = z.object(commonFields);
export type CommonBody = z.infer<typeof commonSchema>;
