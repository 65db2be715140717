// Answers as chat completions: messages, deltas, tool calls.
import type { FinishReason, Generated, Piece } from '../infer/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { chatLogprobs, tokenSpelling, withoutEnds } from './logprobs.ts';
import type { ReplyForm } from './respond.ts';
import { createToolReader, type ToolReader, type ToolText } from './toolCalls.ts';
import type { ToolPlan } from './toolChoice.ts';

export interface ChatFormOptions {
  envelope: ReplyForm['envelope'];
  tokenizer: Tokenizer;
  /** Whether they were asked for. */
  logprobs: boolean;
  /** Tokens that end an answer. */
  ends: ReadonlySet<number>;
  tools: ToolPlan | undefined;
}

export const finishOf = (finish: FinishReason): 'stop' | 'length' => (finish === 'length' ? 'length' : 'stop');

export function createChatForm({ envelope, tokenizer, logprobs, ends, tools }: ChatFormOptions): ReplyForm {
  const spell = logprobs ? tokenSpelling(tokenizer) : undefined;
  const report = (entries: Generated['logprobs']) =>
    spell && entries ? chatLogprobs(withoutEnds(entries, ends), spell) : null;

  function newReader(): ToolReader | undefined {
    if (!tools) return undefined;
    const reader = createToolReader(tools.reader);
    // What the prompt ended with belongs to the call.
    if (tools.forced) reader.push(tools.forced.lead);
    return reader;
  }

  interface Stream {
    reader: ToolReader | undefined;
    calls: number;
  }
  const streams = new Map<number, Stream>();

  /** The stream of an answer, and its first chunk when it has not begun yet. */
  function streamOf(index: number): { stream: Stream; begin: object[] } {
    const known = streams.get(index);
    if (known) return { stream: known, begin: [] };
    const stream = { reader: newReader(), calls: 0 };
    streams.set(index, stream);
    return { stream, begin: [choice(index, { role: 'assistant', content: '' })] };
  }

  const choice = (index: number, delta: object, more: object = {}) => ({
    index,
    delta,
    logprobs: null,
    finish_reason: null,
    ...more,
  });

  function deltaOf(stream: Stream, { content, calls }: ToolText): object {
    const numbered = calls.map((call) => ({ index: stream.calls++, ...call }));
    return { ...(content ? { content } : {}), ...(numbered.length > 0 ? { tool_calls: numbered } : {}) };
  }

  return {
    envelope,
    object: { whole: 'chat.completion', chunk: 'chat.completion.chunk' },
    piece(index, piece: Piece) {
      const { stream, begin } = streamOf(index);
      const read = stream.reader?.push(piece.text) ?? { content: piece.text, calls: [] };
      const delta = deltaOf(stream, read);
      const entries = report(piece.logprobs as Generated['logprobs']);
      if (Object.keys(delta).length === 0 && !entries?.content.length) return begin;
      return [...begin, choice(index, delta, { logprobs: entries })];
    },
    end(index, generated) {
      const { stream, begin } = streamOf(index);
      const rest = deltaOf(stream, stream.reader?.finish() ?? { content: '', calls: [] });
      return [
        ...begin,
        ...(Object.keys(rest).length > 0 ? [choice(index, rest)] : []),
        choice(
          index,
          {},
          {
            finish_reason: stream.calls > 0 ? 'tool_calls' : finishOf(generated.finish),
            stop_reason: generated.stopString ?? null,
          },
        ),
      ];
    },
    whole: (all) =>
      all.map((generated, index) => {
        const { text, finish, stopString } = generated;
        const reader = newReader();
        const parts = reader ? [reader.push(text), reader.finish()] : [{ content: text, calls: [] }];
        const content = parts.map((part) => part.content).join('');
        const calls = parts.flatMap((part) => part.calls);
        return {
          index,
          message: {
            role: 'assistant',
            content: calls.length > 0 && content === '' ? null : content,
            refusal: null,
            ...(calls.length > 0 ? { tool_calls: calls } : {}),
          },
          logprobs: report(generated.logprobs),
          finish_reason: calls.length > 0 ? 'tool_calls' : finishOf(finish),
          stop_reason: stopString ?? null,
        };
      }),
  };
}
