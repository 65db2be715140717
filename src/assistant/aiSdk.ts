// A model for Vercel's AI SDK, `generateText({ model: languageModel(model) })`: the interface LanguageModelV3 of
// @ai-sdk/provider 3, written down as far as it is used, so that nothing has to be installed for it.
import { usageError } from '../base/index.ts';
import type { Generated } from '../infer/index.ts';
import type { ChatMessage } from '../tokenizer/index.ts';
import type { Model } from './model.ts';
import { schemaConstraint } from './schemaConstraint.ts';

type Part = { type: string; text?: string };
type PromptMessage = { role: string; content: string | readonly Part[] };

export interface LanguageModelCall {
  prompt: readonly PromptMessage[];
  maxOutputTokens?: number;
  temperature?: number;
  topP?: number;
  topK?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  stopSequences?: readonly string[];
  seed?: number;
  responseFormat?: { type: string; schema?: unknown };
  tools?: readonly unknown[];
  abortSignal?: AbortSignal;
}

interface Warning {
  type: 'unsupported';
  feature: string;
}
interface Usage {
  inputTokens: { total: number; noCache: number; cacheRead: number; cacheWrite: undefined };
  outputTokens: { total: number; text: number; reasoning: undefined };
}
interface Finish {
  unified: 'stop' | 'length' | 'other';
  raw: string;
}
type StreamPart =
  | { type: 'stream-start'; warnings: Warning[] }
  | { type: 'text-start' | 'text-end'; id: string }
  | { type: 'text-delta'; id: string; delta: string }
  | { type: 'finish'; usage: Usage; finishReason: Finish }
  | { type: 'error'; error: unknown };

export interface LanguageModel {
  readonly specificationVersion: 'v3';
  readonly provider: 'huacaya';
  readonly modelId: string;
  readonly supportedUrls: Record<string, RegExp[]>;
  doGenerate(call: LanguageModelCall): Promise<{
    content: { type: 'text'; text: string }[];
    finishReason: Finish;
    usage: Usage;
    warnings: Warning[];
  }>;
  doStream(call: LanguageModelCall): Promise<{ stream: ReadableStream<StreamPart> }>;
}

function messageOf({ role, content }: PromptMessage): ChatMessage {
  if (typeof content === 'string') return { role, content };
  const other = content.find((part) => part.type !== 'text');
  if (other) throw usageError(`a message of ${role} has a part of type "${other.type}"; this model reads text only`);
  return { role, content: content.map((part) => part.text ?? '').join('') };
}

const finishOf = ({ finish }: Generated): Finish => {
  const unified = finish === 'length' ? 'length' : finish === 'aborted' ? 'other' : 'stop';
  return { unified, raw: finish };
};

const usageOf = ({ promptTokens, cachedTokens, ids }: Generated): Usage => ({
  inputTokens: {
    total: promptTokens,
    noCache: promptTokens - cachedTokens,
    cacheRead: cachedTokens,
    cacheWrite: undefined,
  },
  outputTokens: { total: ids.length, text: ids.length, reasoning: undefined },
});

/** @param id of an adapter; default: the base model. */
export function languageModel(model: Model, id: string = model.id): LanguageModel {
  const start = (call: LanguageModelCall) => {
    const { tokenizer, generator } = model.assistant;
    const { responseFormat: format, topP, topK } = call;
    const warnings: Warning[] = call.tools?.length ? [{ type: 'unsupported', feature: 'tools' }] : [];
    const schema = format?.type === 'json' ? (format.schema ?? { type: 'object' }) : undefined;
    const stream = model.stream(call.prompt.map(messageOf), {
      model: id,
      maxNewTokens: call.maxOutputTokens,
      // Whoever sets a filter wants to sample.
      temperature: call.temperature ?? (topP !== undefined || topK !== undefined ? 1 : undefined),
      topP,
      topK,
      presencePenalty: call.presencePenalty,
      frequencyPenalty: call.frequencyPenalty,
      seed: call.seed,
      stop: call.stopSequences,
      signal: call.abortSignal,
      constraint: schema && schemaConstraint(tokenizer, schema, generator.info.vocabSize),
    });
    return { stream, warnings };
  };
  return {
    specificationVersion: 'v3',
    provider: 'huacaya',
    modelId: model.assistant.entry(id).id,
    supportedUrls: {},
    async doGenerate(call) {
      const { stream, warnings } = start(call);
      let next = await stream.next();
      while (!next.done) next = await stream.next();
      const made = next.value;
      call.abortSignal?.throwIfAborted();
      const content = [{ type: 'text' as const, text: made.text }];
      return { content, finishReason: finishOf(made), usage: usageOf(made), warnings };
    },
    async doStream(call) {
      const { stream, warnings } = start(call);
      const begin: StreamPart[] = [
        { type: 'stream-start', warnings },
        { type: 'text-start', id: '0' },
      ];
      return {
        stream: new ReadableStream<StreamPart>({
          start(controller) {
            for (const part of begin) controller.enqueue(part);
          },
          async pull(controller) {
            try {
              const next = await stream.next();
              if (!next.done) return controller.enqueue({ type: 'text-delta', id: '0', delta: next.value });
              controller.enqueue({ type: 'text-end', id: '0' });
              controller.enqueue({ type: 'finish', usage: usageOf(next.value), finishReason: finishOf(next.value) });
            } catch (error) {
              controller.enqueue({ type: 'error', error });
            }
            controller.close();
          },
          cancel: async () => void (await stream.return(undefined as never)),
        }),
      };
    },
  };
}
