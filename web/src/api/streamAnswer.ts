// Asks for an answer and hands it out as it is written.
import { ApiError, errorIn } from './apiError.ts';
import { request } from './request.ts';
import { serverSentEvents } from './serverSentEvents.ts';
import type { Chunk, Question, Timing, Usage, WireOptions } from './types.ts';

export interface AnswerEnd {
  /** 'stop', 'length', ...: the API's word. */
  finish: string;
  usage?: Usage;
  timing?: Timing;
}

export interface Ask {
  model: string;
  question: Question;
  options: WireOptions;
  signal: AbortSignal;
}

/**
 * Yields pieces of text, returns how it ended.
 * @throws ApiError, also in the middle of an answer; an AbortError when `signal` was aborted.
 */
export async function* streamAnswer({ model, question, options, signal }: Ask): AsyncGenerator<string, AnswerEnd> {
  const asked = requestOf(question);
  const stream = { stream: true, stream_options: { include_usage: true } };
  const response = await request(asked.path, { body: { model, ...asked.body, ...options, ...stream }, signal });
  if (!response.body) throw new ApiError('lost', 'The answer has no body.');
  const end: AnswerEnd = { finish: '' };
  try {
    for await (const data of serverSentEvents(response.body)) {
      if (data === '[DONE]') break;
      const chunk = JSON.parse(data) as Chunk;
      const error = errorIn(chunk);
      if (error) throw error;
      if (chunk.usage) end.usage = chunk.usage;
      if (chunk.huacaya) end.timing = chunk.huacaya;
      const choice = chunk.choices?.[0];
      if (choice?.finish_reason) end.finish = choice.finish_reason;
      if (choice?.delta?.content) yield choice.delta.content;
    }
  } catch (e) {
    if (signal.aborted || e instanceof ApiError) throw e;
    throw new ApiError('lost', String((e as Error).message));
  }
  // A connection that was cut looks like an end; only the last chunk says that it is one.
  if (end.finish === '') throw new ApiError('lost', 'The stream ended early.');
  return end;
}

function requestOf(question: Question): { path: string; body: object } {
  if (question.kind === 'chat') return { path: 'v1/chat/completions', body: { messages: question.messages } };
  const { instruction, input } = question;
  return { path: 'v1/huacaya/instruct', body: { instruction, ...(input === '' ? {} : { input }) } };
}
