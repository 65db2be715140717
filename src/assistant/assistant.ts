// A model as people meet it: a name, its adapters by name, and prompts built the way each of them was trained.
import type { Generated, GenerationRequest, Piece, TextGenerator } from '../infer/index.ts';
import type { ChatMessage, Tokenizer } from '../tokenizer/index.ts';

/** The base model or one of its adapters: what the server lists as a model. */
export interface ModelEntry {
  id: string;
  kind: 'base' | 'adapter';
  /** How questions are put: 'chat' (the model's own chat template) or the name of a prompt template. */
  template: string;
  /** Earlier turns are part of the prompt (chat templates only). */
  remembers: boolean;
  /** Where the adapter came from. */
  source?: string;
}

export interface BuiltPrompt {
  ids: number[];
  /** Texts that end an answer. */
  stop: readonly string[];
}

export type AskOptions = Partial<Omit<GenerationRequest, 'promptIds' | 'adapter' | 'sampling'>> & {
  /** Id of a ModelEntry; default: the base model. */
  model?: string;
  sampling?: Partial<GenerationRequest['sampling']>;
};

export interface Assistant {
  /** The base model's id. */
  readonly id: string;
  readonly tokenizer: Tokenizer;
  readonly generator: TextGenerator;
  /** The base model first. */
  readonly models: readonly ModelEntry[];
  /** @throws HuacayaError UNKNOWN_MODEL with the nearest names. */
  entry(id: string): ModelEntry;
  addAdapter(id: string, folder: string): Promise<ModelEntry>;
  removeAdapter(id: string): Promise<void>;
  /**
   * A conversation as the model was trained to see it. An adapter of a prompt template has no memory: the last user message
   * is its instruction, a system message in front of it is left out.
   * @param tools JSON-schema tools (OpenAI's shape), handed to the chat template.
   * @throws HuacayaError NO_CHAT_TEMPLATE, CHAT_REFUSED, USAGE where tools are given and the template takes none.
   */
  chatPrompt(model: string, messages: readonly ChatMessage[], tools?: readonly unknown[]): BuiltPrompt;
  /** The Alpaca form: by the entry's prompt template, or as one user message of its chat template. */
  instructionPrompt(model: string, question: { instruction: string; input?: string }): BuiltPrompt;
  /** Streams the answer to a built prompt. */
  answer(prompt: BuiltPrompt, options?: AskOptions): AsyncGenerator<Piece, Generated>;
  close(): Promise<void>;
}
