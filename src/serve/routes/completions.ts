// POST /v1/completions.
import { badRequest } from '../apiError.ts';
import { createCompletionForm } from '../completionForm.ts';
import type { ServerContext } from '../context.ts';
import { endsOf, envelopeOf } from '../envelope.ts';
import type { Exchange } from '../exchange.ts';
import { checkTextLength, planAnswers, schemaOf } from '../plan.ts';
import { respond } from '../respond.ts';
import { type CompletionBody, completionBodySchema } from '../schemas/completion.ts';
import { validate } from '../validate.ts';

/** OpenAI's default, which clients of this older route rely on. */
const USUAL_TOKENS = 16;

export async function completions(exchange: Exchange, context: ServerContext): Promise<void> {
  const body = validate(completionBodySchema, await exchange.json());
  const { tokenizer } = context.assistant;
  if (body.echo) throw badRequest('echo is not supported: put the prompt in front yourself', 'echo');
  if (body.suffix) throw badRequest('suffix is not supported: the model only writes forward', 'suffix');
  if (body.best_of && body.best_of !== (body.n ?? 1)) {
    throw badRequest('best_of is not supported beyond n: ask for logprobs and choose yourself', 'best_of');
  }
  const prompts = promptsOf(context, body.prompt).map((ids) => ({ ids, stop: [] }));
  const plan = planAnswers(context, body, {
    prompts,
    topLogprobs: body.logprobs ?? undefined,
    maxTokens: body.max_tokens ? { name: 'max_tokens', value: body.max_tokens } : undefined,
    usualTokens: USUAL_TOKENS,
    schema: schemaOf(body),
  });
  const form = createCompletionForm({
    envelope: envelopeOf(context, plan.model, 'cmpl'),
    tokenizer,
    logprobs: body.logprobs !== undefined && body.logprobs !== null,
    ends: endsOf(context, body),
  });
  await respond(exchange, context, plan, form);
}

/** Token ids of each prompt. @throws ApiError 400. */
function promptsOf(context: ServerContext, prompt: CompletionBody['prompt']): number[][] {
  const { tokenizer, generator } = context.assistant;
  const list = typeof prompt === 'string' || typeof prompt[0] === 'number' ? [prompt] : prompt;
  const texts = list.filter((one) => typeof one === 'string');
  checkTextLength(
    context,
    texts.reduce((most, text) => Math.max(most, text.length), 0),
  );
  const { vocabSize } = generator.info;
  return (list as (string | number[])[]).map((one) => {
    if (typeof one === 'string') return tokenizer.encode(one, { addBos: tokenizer.addBos });
    const wrong = one.find((id) => id >= vocabSize);
    if (wrong === undefined) return one;
    throw badRequest(`prompt holds token ${wrong}; the model has tokens 0 to ${vocabSize - 1}`, 'prompt');
  });
}
