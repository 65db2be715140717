// One completion, chat or not: from the body of a request to the body of the answer.
import { createHash } from 'node:crypto';
import { createRng } from '../../../src/base/index.ts';
import type { Asked, TeacherServerOptions } from './options.ts';
import { languageOf, recognise } from './recognise.ts';
import { fillSchema } from './structured.ts';
import { writeAnswer } from './write.ts';

export interface Answer {
  status: number;
  body: unknown;
  /** What was used. */
  tokens?: number;
}

export const fail = (status: number, message: string, code: string | null = null, param: string | null = null) => ({
  status,
  body: { error: { message, type: status === 429 ? 'requests' : 'invalid_request_error', param, code } },
});

/** About four letters a token; Chinese characters one each, as nearly everywhere. */
export const countTokens = (text: string) =>
  [...text].reduce((tokens, letter) => tokens + (letter.codePointAt(0)! > 0x2e80 ? 1 : 0.25), 1) | 0;

export const seedOf = (...parts: unknown[]) =>
  createHash('sha256').update(JSON.stringify(parts)).digest().readUInt32LE(0);

export function complete(asked: Asked, chat: boolean, options: TeacherServerOptions): Answer {
  const { body } = asked;
  const models = options.models ?? ['teacher'];
  if (!models.includes(body.model))
    return fail(404, `The model \`${body.model}\` does not exist or you do not have access to it.`, 'model_not_found');
  if (chat !== Array.isArray(body.messages))
    return fail(400, `'${chat ? 'messages' : 'prompt'}' is a required property`);
  if (options.maxCompletionTokens && body.max_tokens !== undefined)
    return fail(
      400,
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      'unsupported_parameter',
      'max_tokens',
    );
  if (options.structured === false && body.response_format)
    return fail(400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.");
  const prompt: string = chat ? body.messages.map((m: { content: string }) => m.content).join('\n') : body.prompt;
  const limit: number = body.max_tokens ?? body.max_completion_tokens ?? 16;
  const promptTokens = countTokens(prompt);
  if (options.context && promptTokens + limit > options.context)
    return fail(
      400,
      `This model's maximum context length is ${options.context} tokens, however you requested ${promptTokens + limit} tokens ` +
        `(${promptTokens} in your prompt; ${limit} for the completion). Please reduce your prompt; or completion length.`,
      'context_length_exceeded',
    );
  let { text, finish } = write(prompt, asked, options);
  for (const stop of [body.stop ?? []].flat()) {
    const at = text.indexOf(stop);
    if (at >= 0) [text, finish] = [text.slice(0, at), 'stop'];
  }
  if (countTokens(text) > limit) {
    text = text.slice(0, limit * 4);
    while (countTokens(text) > limit) text = text.slice(0, -1);
    finish = 'length';
  }
  const completionTokens = countTokens(text);
  const choice = chat ? { message: { role: 'assistant', content: text.trimStart() } } : { text };
  return {
    status: 200,
    tokens: promptTokens + completionTokens,
    body: {
      id: `answer-${seedOf(asked.key).toString(16)}`,
      object: chat ? 'chat.completion' : 'text_completion',
      created: 1_700_000_000,
      model: body.model,
      choices: [{ index: 0, ...choice, finish_reason: finish, logprobs: null }],
      ...(options.usage === false
        ? {}
        : {
            usage: {
              prompt_tokens: promptTokens,
              completion_tokens: completionTokens,
              total_tokens: promptTokens + completionTokens,
            },
          }),
    },
  };
}

function write(prompt: string, asked: Asked, options: TeacherServerOptions) {
  const given = options.answer?.(prompt, asked);
  if (given !== undefined) return { text: given, finish: 'stop' };
  const { body } = asked;
  // At temperature 0 the same prompt has one answer, else each request draws its own.
  const rng = createRng(seedOf(options.seed ?? 1, prompt, body.temperature === 0 ? '' : asked.id));
  const schema = body.response_format?.json_schema?.schema;
  if (schema) return { text: JSON.stringify(fillSchema(schema, rng, languageOf(prompt))), finish: 'stop' };
  return writeAnswer(options.kind?.(prompt) ?? recognise(prompt), prompt, rng, options.noise ?? 1);
}
