// What a teacher is asked and what it answers. Pipelines know only this; endpoints, retries, prices and the journal lie behind it.

export interface TeacherMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

/** Sampling settings, named as in the OpenAI API; what is left out is the endpoint's default. */
export interface TeacherSampling {
  temperature?: number;
  topP?: number;
  /** Most tokens of the answer: bounds what a request can cost. */
  maxTokens: number;
  stop?: readonly string[];
  presencePenalty?: number;
  frequencyPenalty?: number;
  logitBias?: Readonly<Record<string, number>>;
}

export interface TeacherRequest {
  /** Unique and reproducible within a run, e.g. `instructions/17`: what was answered under an id is never asked again. */
  id: string;
  /** A text to continue, or a conversation. A completion goes to a chat endpoint as one user message. */
  prompt: string | readonly TeacherMessage[];
  sampling: TeacherSampling;
  /** JSON schema of the answer, used where the endpoint has structured output. */
  schema?: { name: string; schema: Readonly<Record<string, unknown>> };
}

export interface TeacherReply {
  id: string;
  text: string;
  finishReason: 'stop' | 'length' | 'content_filter';
  promptTokens: number;
  completionTokens: number;
  /** In the currency of the recipe's prices. */
  cost: number;
  model: string;
  /** Seconds since 1970, when the answer came. */
  createdAt: number;
}

export interface Spending {
  requests: number;
  promptTokens: number;
  completionTokens: number;
  cost: number;
}

export interface Teacher {
  /**
   * One answer: from the journal where the id was answered before, else from an endpoint.
   * @throws HuacayaError BUDGET_SPENT before a request that could go over the budget, TEACHER_* when it cannot be had.
   */
  ask(request: TeacherRequest, signal?: AbortSignal): Promise<TeacherReply>;
  /** Everything paid in this run, earlier processes included. */
  spent(): Spending;
  close(): Promise<void>;
}
