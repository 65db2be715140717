// An assistant whose model is a script: deterministic, as slow or as broken as a test wants it, and it remembers what it was
// asked. Names, prompts and tokenizer are the real ones.
import {
  type Assistant,
  chatPrompts,
  createAssistant,
  type OpenedAdapter,
  templatePrompts,
} from '../../src/assistant/index.ts';
import { createRng, HuacayaError, usageError } from '../../src/base/index.ts';
import {
  checkSampling,
  createStopFilter,
  type FinishReason,
  type Generated,
  type GenerationRequest,
  type GeneratorAdapter,
  type Piece,
  type TextGenerator,
  type TokenConstraint,
  type TokenLogprob,
} from '../../src/infer/index.ts';
import { fromTokenizerJson, type Tokenizer } from '../../src/tokenizer/index.ts';
import { tinyChatTemplate, tinyTokenizerConfig, tinyTokenizerJson, tinyVocabSize } from './tinyTokenizer.ts';

export interface FakeOptions {
  slots?: number;
  positions?: number;
  /** Milliseconds a token. */
  delay?: number;
  /** The answer to a prompt, given as text; default: words drawn from prompt, adapter and seed. */
  script?: (prompt: string, request: GenerationRequest) => string;
  /** Thrown in place of a token. */
  failAt?: { token: number; error: Error };
  /** How the chat template shows tools; default: it takes none. */
  tools?: 'tags' | 'json';
  chatTemplate?: string;
}

export interface Fake {
  assistant: Assistant;
  /** Changed while it runs. */
  options: FakeOptions;
  requests: GenerationRequest[];
  /** Generations that have begun and not ended. */
  live(): number;
  /** Tokens made since the request's signal was aborted, for each aborted request. */
  afterAbort: number[];
  tokens(): number;
}

const words = 'the alpaca and the llama wander in a stone of the inner shore, resting one after another.'.split(' ');

const toolTemplate = (kind: 'tags' | 'json') =>
  `{% if tools %}{{ '${kind === 'tags' ? '<tool_call>' : 'function JSON'}: ' + (tools | tojson) + '\\n' }}{% endif %}` +
  "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] }}" +
  '{% for c in (m.tool_calls or []) %}{{ c.function.name }}={{ c.function.arguments | tojson }}{% endfor %}' +
  "{{ '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** What JSON constraints are in these tests: the script answers with `text`. */
export interface FakeConstraint extends TokenConstraint {
  text: string;
  accepted: number[];
}

export function fakeConstraint(_assistant: Assistant, schema: unknown): FakeConstraint {
  if (typeof schema === 'object' && schema !== null && 'unsupported' in schema) {
    throw new HuacayaError('BAD_SCHEMA', 'the keyword "unsupported" is not known');
  }
  const calls = schema as { properties?: { name?: { const?: string }; parameters?: unknown } };
  const name = calls.properties?.name?.const;
  const key = calls.properties?.parameters ? 'parameters' : 'arguments';
  const accepted: number[] = [];
  return {
    text: name ? `{"name": "${name}", "${key}": {"city": "Puno"}}` : '{"answer": 42}',
    accepted,
    allowed: () => new Uint32Array(Math.ceil(tinyVocabSize / 32)).fill(0xffffffff),
    accept: (id) => accepted.push(id),
  };
}

export function fakeAssistant(options: FakeOptions = {}): Fake {
  const chatTemplate = options.chatTemplate ?? (options.tools ? toolTemplate(options.tools) : tinyChatTemplate);
  const tokenizer = fromTokenizerJson(tinyTokenizerJson(), { ...tinyTokenizerConfig(), chat_template: chatTemplate });
  const { generator, ...seen } = fakeGenerator(tokenizer, options);
  const alpaca = templatePrompts(
    {
      name: 'alpaca_short',
      description: 'for tests',
      promptInput: '### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n',
      promptNoInput: '### Instruction:\n{instruction}\n\n### Response:\n',
      responseSplit: '### Response:',
    },
    tokenizer,
  );
  const assistant = createAssistant({
    id: 'fake-base',
    tokenizer,
    generator,
    prompts: chatPrompts(tokenizer),
    async openAdapter(folder): Promise<OpenedAdapter> {
      if (!folder.startsWith('good')) throw new HuacayaError('ADAPTER_NOT_FOUND', `${folder}: has no adapter`);
      return { adapter: {} as GeneratorAdapter, prompts: alpaca };
    },
    checkId(id) {
      if (!/^[\w-]+$/.test(id)) throw usageError(`${JSON.stringify(id)} is no name for an adapter`);
      return id;
    },
  });
  return { assistant, options, ...seen };
}

function fakeGenerator(tokenizer: Tokenizer, options: FakeOptions) {
  const requests: GenerationRequest[] = [];
  const afterAbort: number[] = [];
  const adapters = new Set<string>();
  const slots = options.slots ?? 4;
  let running = 0;
  let live = 0;
  let tokens = 0;
  let prompts = 0;
  const waiting: (() => void)[] = [];

  function textFor(request: GenerationRequest): string {
    const constraint = request.constraint as FakeConstraint | undefined;
    if (constraint) return constraint.text;
    const prompt = tokenizer.decode(request.promptIds);
    if (options.script) return options.script(prompt, request);
    const { temperature, seed } = request.sampling;
    const name = `${prompt} ${request.adapter ?? ''} ${request.adapterScale ?? 1} ${temperature > 0 ? seed : ''}`;
    const rng = createRng(0).fork(name);
    return Array.from({ length: 12 }, () => words[rng.below(words.length)]).join(' ');
  }

  /** False when the request was aborted while it waited. */
  async function enter(signal: AbortSignal | undefined): Promise<boolean> {
    if (signal?.aborted) return false;
    if (running < slots) {
      running++;
      return true;
    }
    return new Promise((resolve) => {
      const go = () => {
        signal?.removeEventListener('abort', leave);
        running++;
        resolve(true);
      };
      const leave = () => {
        waiting.splice(waiting.indexOf(go), 1);
        resolve(false);
      };
      waiting.push(go);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  async function* generate(request: GenerationRequest): AsyncGenerator<Piece, Generated> {
    checkSampling(request.sampling, tinyVocabSize);
    requests.push(request);
    const { signal, topLogprobs, maxNewTokens, constraint } = request;
    const begin = performance.now();
    live++;
    let late = -1;
    const onAbort = () => {
      late = 0;
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    const entered = await enter(signal);
    const started = performance.now();
    let firstAt = started;
    const decoder = tokenizer.stream();
    const filter = createStopFilter(request.stop ?? []);
    const eos = tokenizer.eosIds[0]!;
    const ids: number[] = [];
    const all: TokenLogprob[] = [];
    let text = '';
    let finish: FinishReason = entered ? 'length' : 'aborted';
    try {
      const script = tokenizer.encode(textFor(request));
      prompts += entered ? request.promptIds.length : 0;
      while (entered && ids.length < maxNewTokens) {
        if (signal?.aborted) {
          finish = 'aborted';
          break;
        }
        if (options.delay) await new Promise((r) => setTimeout(r, options.delay));
        else if (ids.length % 8 === 0) await new Promise((r) => setImmediate(r));
        if (options.failAt?.token === ids.length) throw options.failAt.error;
        const id = request.ignoreEos ? script[ids.length % script.length]! : (script[ids.length] ?? eos);
        if (ids.length === 0) firstAt = performance.now();
        ids.push(id);
        tokens++;
        if (late >= 0) late++;
        const top = Array.from({ length: topLogprobs ?? 0 }, (_, k) => ({ id: (id + k) % 256, logprob: -0.5 - k }));
        const own = topLogprobs === undefined ? [] : [{ id, logprob: -0.25, top }];
        all.push(...own);
        const end = (id === eos && !request.ignoreEos) || (request.stopIds ?? []).includes(id);
        if (!end) constraint?.accept(id);
        const shown = end ? '' : filter.push(decoder.push(id));
        text += shown;
        yield { text: shown, ids: [id], ...(own.length > 0 ? { logprobs: own } : {}) };
        if (end || filter.met !== undefined) {
          finish = end ? 'eos' : 'stop';
          break;
        }
      }
      if (finish !== 'stop') {
        const rest = filter.push(decoder.flush()) + filter.flush();
        text += rest;
        if (rest) yield { text: rest, ids: [] };
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      if (late >= 0) afterAbort.push(late);
      live--;
      if (entered) {
        running--;
        waiting.shift()?.();
      }
    }
    return {
      text,
      ids,
      finish,
      ...(filter.met !== undefined ? { stopString: filter.met } : {}),
      ...(topLogprobs !== undefined ? { logprobs: all } : {}),
      promptTokens: request.promptIds.length,
      cachedTokens: Math.floor(request.promptIds.length / 2),
      queueSeconds: (started - begin) / 1000,
      prefillSeconds: (firstAt - started) / 1000,
      decodeSeconds: (performance.now() - firstAt) / 1000,
    };
  }

  const generator: TextGenerator = {
    info: { vocabSize: tinyVocabSize, positions: options.positions ?? 2048, slots, precision: 'fake' },
    generate,
    get adapters() {
      return [...adapters];
    },
    async addAdapter(name) {
      adapters.add(name);
    },
    async removeAdapter(name) {
      adapters.delete(name);
    },
    stats: () => ({
      running,
      waiting: waiting.length,
      promptTokens: prompts,
      cachedTokens: Math.floor(prompts / 2),
      generatedTokens: tokens,
      prefillSeconds: 0,
      decodeSeconds: 0,
    }),
    async close() {},
  };
  return { generator, requests, afterAbort, live: () => live, tokens: () => tokens };
}
