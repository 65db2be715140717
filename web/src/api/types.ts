// What the server says and takes, as far as the page needs it. The whole of it is described in docs/server.md.

export interface ServedModel {
  id: string;
  kind: 'base' | 'adapter';
  /** 'chat' (the model's own chat template) or the name of a prompt template. */
  template: string;
  /** Earlier turns are part of the prompt. */
  remembers: boolean;
}

/** GET v1/huacaya/info */
export interface ServerInfo {
  version: string;
  /** Id of the base model. */
  base: string;
  models: ServedModel[];
  /** Most tokens of prompt and answer together. */
  positions: number;
  /** Answers that are generated at the same time; more wait their turn. */
  slots: number;
  precision: string;
  /** Longest answer that the server gives, where it sets one. */
  max_new_tokens?: number;
}

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

/** What is asked: the Alpaca form, or a conversation. */
export type Question =
  | { kind: 'instruct'; instruction: string; input: string }
  | { kind: 'chat'; messages: readonly ChatMessage[] };

/** Decoding options by their names in the API; what is left out has no effect. */
export interface WireOptions {
  temperature: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  repetition_penalty?: number;
  presence_penalty?: number;
  frequency_penalty?: number;
  max_tokens: number;
  seed?: number;
  stop?: readonly string[];
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number };
}

/** Huacaya's own part of the last chunk. */
export interface Timing {
  /** How the answer was really decoded, in the server's words. */
  mode?: string;
  /** Absent where a single token leaves nothing to measure. */
  tokens_per_second?: number | null;
  queue_seconds?: number;
  prefill_seconds?: number;
}

/** One chunk of a streamed answer. */
export interface Chunk {
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: Usage | null;
  huacaya?: Timing;
}
