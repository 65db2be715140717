// The library's view of an assistant: a question in, text out, with all options in one flat object.
import type { Generated, GenerationRequest } from '../infer/index.ts';
import type { ChatMessage } from '../tokenizer/index.ts';
import type { Assistant, ModelEntry } from './assistant.ts';
import { defined } from './createAssistant.ts';
import type { Instruction } from './prompts.ts';

/** A message, an instruction with its input, or a whole conversation. */
export type Question = string | Instruction | readonly ChatMessage[];

export interface AnswerOptions
  extends Partial<GenerationRequest['sampling']>,
    Partial<Omit<GenerationRequest, 'promptIds' | 'adapter' | 'sampling'>> {
  /** Id of an adapter; default: the base model. */
  model?: string;
  /** JSON-schema tools for the model's chat template, with a conversation. */
  tools?: readonly unknown[];
}

export interface Model {
  readonly id: string;
  /** The base model first. */
  readonly models: readonly ModelEntry[];
  /** The pieces of the answer as they come. @throws HuacayaError */
  stream(question: Question, options?: AnswerOptions): AsyncGenerator<string, Generated>;
  /** The whole answer. */
  ask(question: Question, options?: AnswerOptions): Promise<Generated>;
  /** The next message of a conversation. */
  chat(messages: readonly ChatMessage[], options?: AnswerOptions): Promise<Generated>;
  addAdapter(id: string, folder: string): Promise<ModelEntry>;
  removeAdapter(id: string): Promise<void>;
  /** What is underneath: prompts as tokens, log-probabilities as they come, statistics. */
  readonly assistant: Assistant;
  close(): Promise<void>;
}

export function createModel(assistant: Assistant): Model {
  function start(question: Question, options: AnswerOptions) {
    const { temperature, topP, topK, minP, repetitionPenalty, presencePenalty, frequencyPenalty, ...others } = options;
    const { logitBias, seed, tools, model = assistant.id, ...rest } = others;
    const penalties = { repetitionPenalty, presencePenalty, frequencyPenalty };
    const sampling = defined({ temperature, topP, topK, minP, ...penalties, logitBias, seed });
    const prompt =
      typeof question === 'string'
        ? assistant.instructionPrompt(model, { instruction: question })
        : 'instruction' in question
          ? assistant.instructionPrompt(model, question)
          : assistant.chatPrompt(model, question, tools);
    return assistant.answer(prompt, { ...rest, model, sampling });
  }
  async function* stream(question: Question, options: AnswerOptions = {}): AsyncGenerator<string, Generated> {
    const pieces = start(question, options);
    try {
      for (;;) {
        const piece = await pieces.next();
        if (piece.done) return piece.value;
        if (piece.value.text) yield piece.value.text;
      }
    } finally {
      // Leaving the loop early ends the request.
      await pieces.return(undefined as never);
    }
  }
  async function ask(question: Question, options: AnswerOptions = {}): Promise<Generated> {
    const pieces = start(question, options);
    for (;;) {
      const piece = await pieces.next();
      if (piece.done) return piece.value;
    }
  }
  return {
    id: assistant.id,
    get models() {
      return assistant.models;
    },
    stream,
    ask,
    chat: ask,
    addAdapter: (id, folder) => assistant.addAdapter(id, folder),
    removeAdapter: (id) => assistant.removeAdapter(id),
    assistant,
    close: () => assistant.close(),
  };
}
