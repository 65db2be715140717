// POST /v1/completions: text or token ids that the model goes on with, no template.
import { z } from 'zod';
import { commonFields } from './common.ts';

const ids = z.array(z.number().int().min(0)).min(1);

export const completionBodySchema = z.strictObject({
  prompt: z
    .union([z.string(), z.array(z.string()).min(1).max(64), ids, z.array(ids).min(1).max(64)], {
      error: 'text, token ids, or an array of one of them',
    })
    .describe('special tokens that a text spells are recognised'),
  ...commonFields,
  logprobs: z.number().int().min(0).max(20).nullish().describe('log-probabilities of so many tokens'),
  max_tokens: commonFields.max_tokens.describe('longest answer in tokens; default 16, as with OpenAI'),
  echo: z.boolean().nullish().describe('only false'),
  suffix: z.string().nullish().describe('only empty'),
  best_of: z.number().int().nullish().describe('only n'),
});
export type CompletionBody = z.infer<typeof completionBodySchema>;
