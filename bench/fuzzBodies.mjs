// Bodies that no sane client sends, from a seed: valid ones with fields broken, dropped, doubled or swapped, JSON of any
// shape, and bytes that are no JSON. Used by test/unit/serve/fuzz.test.ts and bench/serverSoak.mjs.

/** mulberry32: small, and equal everywhere. */
export function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const fuzzPaths = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/huacaya/instruct',
  '/v1/huacaya/adapters',
  '/v1/models',
  '/healthz',
];

const strings = [
  '',
  'a',
  'user',
  'system',
  'tool',
  'assistant',
  'text',
  'json_object',
  'json_schema',
  '\u0000',
  '\ud800',
  '😀',
  '<|im_end|>',
  '{{7*7}}',
  '__proto__',
  'constructor',
  '../../etc/passwd',
  'null',
  'NaN',
  'required',
  'x'.repeat(300),
];
const numbers = [
  0,
  -0,
  1,
  -1,
  2,
  3,
  16,
  0.5,
  1.5,
  -2.5,
  20,
  21,
  100,
  1e3,
  1e9,
  2 ** 31,
  2 ** 53,
  -(2 ** 53),
  1e308,
  -1e308,
  1e-320,
];
const names = [
  'model',
  'messages',
  'prompt',
  'instruction',
  'input',
  'stream',
  'stream_options',
  'n',
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'repetition_penalty',
  'presence_penalty',
  'frequency_penalty',
  'logit_bias',
  'seed',
  'stop',
  'stop_token_ids',
  'ignore_eos',
  'max_tokens',
  'max_completion_tokens',
  'logprobs',
  'top_logprobs',
  'response_format',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'adapter_scale',
  'user',
  'metadata',
  'echo',
  'suffix',
  'best_of',
  'functions',
  'role',
  'content',
  'name',
  'type',
  'id',
  'folder',
  'schema',
  'json_schema',
  'function',
  'parameters',
  'tool_calls',
  'arguments',
  'nonsense',
  '__proto__',
  'toString',
];

/** @returns {{path: string, text: string}} */
export function fuzzBody(next) {
  const pick = (list) => list[Math.floor(next() * list.length)];
  const chance = (p) => next() < p;

  function value(depth) {
    const kind = next();
    if (kind < 0.2) return pick(strings);
    if (kind < 0.4) return pick(numbers);
    if (kind < 0.5) return chance(0.5);
    if (kind < 0.6) return null;
    if (depth <= 0) return pick([[], {}]);
    if (kind < 0.8) return Array.from({ length: Math.floor(next() * 4) }, () => value(depth - 1));
    return Object.fromEntries(Array.from({ length: Math.floor(next() * 4) }, () => [pick(names), value(depth - 1)]));
  }

  const message = () =>
    pick([
      { role: 'user', content: 'Where does it rest?' },
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: [{ type: 'text', text: 'a' }] },
      { role: 'assistant', content: 'Here.', refusal: null },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'c', content: '3' },
    ]);
  const options = () => {
    const all = {
      temperature: pick([0, 0.7, 1]),
      top_p: pick([0.5, 1]),
      top_k: pick([0, 5]),
      min_p: pick([0, 0.1]),
      n: pick([1, 2]),
      repetition_penalty: 1.1,
      presence_penalty: 0.1,
      frequency_penalty: -0.1,
      seed: 3,
      stop: pick(['a', ['b', 'c'], []]),
      stop_token_ids: [5],
      ignore_eos: chance(0.5),
      max_tokens: pick([1, 2, 3]),
      stream: chance(0.4),
      logit_bias: { 5: 1 },
      response_format: pick([{ type: 'text' }, { type: 'json_object' }]),
      user: 'u',
      adapter_scale: 1,
    };
    return Object.fromEntries(Object.entries(all).filter(() => chance(0.25)));
  };
  const valid = {
    '/v1/chat/completions': () => ({
      messages: Array.from({ length: 1 + Math.floor(next() * 3) }, message),
      ...options(),
    }),
    '/v1/completions': () => ({ prompt: pick(['a', ['a', 'b'], [1, 2], [[1], [2]]]), max_tokens: 2, ...options() }),
    '/v1/huacaya/instruct': () => ({ instruction: 'Do.', input: 'it', ...options() }),
    '/v1/huacaya/adapters': () => ({ id: pick(strings), folder: pick(strings) }),
  };

  /** One thing somewhere in it is something else. */
  function broken(body) {
    if (typeof body !== 'object' || body === null || chance(0.2)) return value(2);
    const copy = Array.isArray(body) ? [...body] : { ...body };
    const keys = Object.keys(copy);
    const key = keys.length > 0 && chance(0.8) ? pick(keys) : pick(names);
    if (chance(0.15)) delete copy[key];
    else
      Object.defineProperty(copy, key, {
        value: chance(0.6) ? broken(copy[key]) : value(3),
        enumerable: true,
        writable: true,
        configurable: true,
      });
    return copy;
  }

  const path = chance(0.9) ? pick(fuzzPaths.slice(0, 4)) : pick(fuzzPaths);
  const kind = next();
  let body = (valid[path] ?? (() => ({})))();
  if (kind < 0.1) return { path, text: JSON.stringify(body) };
  if (kind < 0.8) {
    for (let times = 1 + Math.floor(next() * 3); times > 0; times--) body = broken(body);
    return { path, text: JSON.stringify(body) ?? '' };
  }
  if (kind < 0.9) return { path, text: JSON.stringify(value(5)) };
  const text = JSON.stringify(body);
  const at = Math.floor(next() * (text.length + 1));
  if (chance(0.3)) return { path, text: text.slice(0, at) };
  if (chance(0.1)) return { path, text: '['.repeat(20_000) };
  return { path, text: text.slice(0, at) + pick(strings) + text.slice(at) };
}
