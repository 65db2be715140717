// The dialects of servers that call themselves OpenAI-compatible.
import { describe, expect, it } from 'vitest';
import { judge } from '../../../../src/selfinstruct/teacher/judge.ts';
import { createStation } from '../../../../src/selfinstruct/teacher/station.ts';
import { ask } from './helpers.ts';

const station = createStation({ url: 'http://x/v1', model: 'm', name: 'x', apiKey: 'sk-123' });
function outcome(status: number, body: unknown, sent: Record<string, unknown> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return judge({ status, headers: new Headers(), text }, ask('a'), sent, station);
}
const chat = (message: unknown, more = {}) => ({ choices: [{ message, finish_reason: 'stop' }], ...more });

describe('answers', () => {
  it.each([
    [chat({ content: 'hello' }), { text: 'hello', finishReason: 'stop' }],
    [
      chat({ content: [{ type: 'text', text: 'hel' }, { type: 'x' }, { type: 'text', text: 'lo' }] }),
      { text: 'hello' },
    ],
    [chat({ content: null, refusal: 'I will not.' }), { text: 'I will not.' }],
    [chat({ content: null }), { text: '' }],
    [{ choices: [{ text: ' x', finish_reason: null }] }, { text: ' x', finishReason: 'stop' }],
    [{ choices: [{ text: 'x', finish_reason: 'max_tokens' }] }, { finishReason: 'length' }],
    [
      chat({ content: 'x' }, { model: 'm-2026', usage: { prompt_tokens: 3, completion_tokens: 4 } }),
      { model: 'm-2026', promptTokens: 3, completionTokens: 4 },
    ],
  ])('%j', (body, reply) => expect(outcome(200, body)).toMatchObject({ kind: 'answer', answer: { reply } }));

  it.each([
    ['{"choices":[{"mess'],
    [''],
    [{ error: { message: 'overloaded', code: 529 } }],
    [{ choices: [] }],
    [{ error: 'Unexpected endpoint or method.' }],
  ])('%j is none', (body) => {
    station.worked = true;
    expect(outcome(200, body)).toMatchObject({ kind: 'again', maybePaid: true });
    station.worked = false;
  });
});

describe('refusals', () => {
  it.each([
    // Ollama, vLLM, OpenAI
    [404, { error: { message: 'model "m" not found, try pulling it first' } }, { kind: 'not-found', model: true }],
    [404, { object: 'error', message: 'The model `m` does not exist.', code: 404 }, { kind: 'not-found', model: true }],
    [404, { detail: 'Not Found' }, { kind: 'not-found', model: false }],
    [404, '404 page not found', { kind: 'not-found', model: false }],
    [402, { error: { message: 'Insufficient Balance' } }, { kind: 'dead', error: { code: 'TEACHER_NO_QUOTA' } }],
    [
      429,
      { error: { message: 'x', type: 'insufficient_quota' } },
      { kind: 'dead', error: { code: 'TEACHER_NO_QUOTA' } },
    ],
    [429, { error: { message: 'You exceeded your current quota', code: 429 } }, { kind: 'again', busy: true }],
    [503, 'upstream', { kind: 'again', busy: false, maybePaid: false }],
    [504, '<html>', { kind: 'again', busy: false, maybePaid: true }],
    [403, { error: { message: 'Your input was flagged', code: 403 } }, { kind: 'answer' }],
    [400, { error: { message: 'held', code: 'content_policy_violation' } }, { kind: 'answer' }],
    // llama.cpp, vLLM, our own
    [400, { error: { message: 'the request exceeds the available context size' } }, { kind: 'shorter' }],
    [400, { message: "This model's maximum context length is 4096 tokens." }, { kind: 'shorter' }],
    [400, { error: { message: 'the prompt has 9 tokens', code: 'context_length_exceeded' } }, { kind: 'shorter' }],
    [422, { detail: [{ msg: 'field required' }] }, { kind: 'refused', error: { code: 'TEACHER_REFUSED' } }],
    [
      400,
      { error: 'key sk-123 is\nodd' },
      { kind: 'refused', error: { message: 'x: refuses request a (400: key *** is odd)' } },
    ],
  ])('%i %j', (status, body, expected) => expect(outcome(status, body)).toMatchObject(expected));

  it.each([
    [{ response_format: {} }, "'response_format' of type 'json_schema' is not supported", 'response_format'],
    [{ max_tokens: 1 }, "Use 'max_completion_tokens' instead.", 'max_tokens (it takes max_completion_tokens)'],
    [{ temperature: 1 }, "Unsupported value: 'temperature' does not support 0.7 with this model.", 'temperature'],
    [{ logit_bias: {} }, "Invalid key in 'logit_bias': 50256. Maximum value is 50000.", 'logit_bias'],
    [{ stop: ['x'] }, "Unsupported parameter: 'stop' is not supported with this model.", 'stop'],
    // What was not sent, or is merely a wrong value, is nobody's lack of knowledge.
    [{}, "Unsupported parameter: 'temperature' is not supported", undefined],
    [{ temperature: 9 }, "Invalid 'temperature': must be at most 2.", undefined],
  ])('%j: %s', (sent, message, what) =>
    expect(outcome(400, { error: { message } }, sent)).toMatchObject(
      what ? { kind: 'adapt', what } : { kind: 'refused' },
    ),
  );
});
