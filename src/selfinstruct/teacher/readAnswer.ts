// What a successful body says, in the dialects of the servers that call themselves OpenAI-compatible.
import { answerBound, costOf, type Price } from './money.ts';
import type { TeacherReply, TeacherSampling } from './types.ts';

export interface ReadAnswer {
  reply: Omit<TeacherReply, 'id'>;
  /** The server did not say how many tokens it were. */
  estimated: boolean;
  /** Why the server did not take it; the reply is empty. */
  refused?: string;
}

/** What reading needs of the request. */
export interface Asked {
  sampling: Pick<TeacherSampling, 'maxTokens' | 'stop'>;
  /** Most tokens of the prompt, for servers that do not say. */
  promptBound: number;
}

interface Choice {
  text?: unknown;
  message?: { content?: unknown; refusal?: unknown };
  finish_reason?: unknown;
}

/** @returns undefined where the body is no answer: not JSON, cut off, without choices. */
export function readAnswer(
  body: unknown,
  asked: Asked,
  model: string,
  price: Price,
  now = Date.now(),
): ReadAnswer | undefined {
  const answer = body as { choices?: unknown; usage?: Record<string, unknown>; model?: unknown } | null;
  const choice = (Array.isArray(answer?.choices) ? answer.choices[0] : undefined) as Choice | undefined;
  if (!answer || !choice || (choice.text === undefined && !choice.message)) return undefined;
  const content = choice.message ? (choice.message.content ?? choice.message.refusal) : choice.text;
  const { text, stopped } = cutAtStop(asText(content), asked.sampling.stop);
  const prompt = tokensOf(answer.usage?.prompt_tokens);
  const completion = tokensOf(answer.usage?.completion_tokens);
  const estimated = prompt === undefined || completion === undefined;
  const promptTokens = prompt ?? asked.promptBound;
  const completionTokens = completion ?? answerBound(text, asked.sampling.maxTokens);
  return {
    estimated,
    reply: {
      text,
      finishReason: stopped ? 'stop' : finishReason(choice.finish_reason),
      promptTokens,
      completionTokens,
      cost: costOf(price, promptTokens, completionTokens) / 1e12,
      model: typeof answer.model === 'string' ? answer.model : model,
      createdAt: Math.floor(now / 1000),
    },
  };
}

const tokensOf = (value: unknown) => (Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : undefined);

function asText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('');
}

/** Servers that ignore `stop`, and models that refuse it, are stopped here. */
function cutAtStop(text: string, stops: readonly string[] = []): { text: string; stopped: boolean } {
  const at = stops.flatMap((stop) => (stop && text.includes(stop) ? [text.indexOf(stop)] : []));
  return at.length > 0 ? { text: text.slice(0, Math.min(...at)), stopped: true } : { text, stopped: false };
}

function finishReason(reason: unknown): TeacherReply['finishReason'] {
  if (reason === 'length' || reason === 'max_tokens' || reason === 'model_length') return 'length';
  return reason === 'content_filter' ? 'content_filter' : 'stop';
}

/** A prompt that the provider's filter held back, or that it does not take at all: there is a reply, and it is empty. */
export function emptyAnswer(model: string, refused?: string, now = Date.now()): ReadAnswer {
  return {
    estimated: false,
    ...(refused === undefined ? {} : { refused }),
    reply: {
      text: '',
      finishReason: 'content_filter',
      promptTokens: 0,
      completionTokens: 0,
      cost: 0,
      model,
      createdAt: Math.floor(now / 1000),
    },
  };
}
