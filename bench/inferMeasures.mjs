// What `npm run bench:infer` measures: one entry a measure. Names are stable: results and --only go by them.
// model: key of inferModels.mjs; precision: ours (the peer has the file's own); positions: room for prompt and answer;
// requests, promptTokens ('chat': questions, where the speed of the prompt is not measured), newTokens: what a repeat
// generates; repeats: in one process; figure: how a run's answers become its number; alone: worth recording without the
// peer.

export function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const small = { model: '135m', precision: 'int4', positions: 1024, requests: 1, repeats: 2, runs: 5 };

/** From the first token to the last. */
const decodeSpeed = (answers) => median(answers.map(({ requests: [r] }) => (r.ids.length - 1) / r.decode_s));
/** From the request to its first token. */
const prefillSpeed = (answers, m) => median(answers.map(({ requests: [r] }) => m.promptTokens / r.prefill_s));
/** Whole requests, prompts included: tokens a second of all together, in units of one alone. Repeats are pairs. */
const scaling = (answers) => {
  const pairs = answers.flatMap((a, i) => (i % 2 ? [[answers[i - 1], a]] : []));
  return median(pairs.map(([one, all]) => (all.requests.length * one.wall_s) / all.wall_s));
};
const lag = (answers) => median(answers.map((a) => a.lag_p99_ms));

export const measures = {
  'decode-135m': {
    ...small,
    promptTokens: 'chat',
    newTokens: 128,
    figure: decodeSpeed,
    unit: 'tok/s',
    better: 'more',
  },
  'decode-1.1b': {
    ...small,
    model: '1.1b',
    positions: 512,
    promptTokens: 64,
    newTokens: 96,
    repeats: 1,
    figure: decodeSpeed,
    unit: 'tok/s',
    better: 'more',
  },
  'prefill-512': {
    ...small,
    promptTokens: 512,
    newTokens: 1,
    repeats: 3,
    figure: prefillSpeed,
    unit: 'tok/s',
    better: 'more',
  },
  'concurrent-8': {
    ...small,
    positions: 512,
    requests: 8,
    alternate: true,
    promptTokens: 64,
    newTokens: 64,
    figure: scaling,
    unit: 'times one request',
    better: 'more',
    alone: true,
  },
  'warm-start': {
    ...small,
    promptTokens: 32,
    newTokens: 1,
    fromStart: true,
    unit: 's',
    better: 'less',
    alone: true,
  },
  'event-loop-lag': {
    ...small,
    promptTokens: 512,
    newTokens: 128,
    figure: lag,
    unit: 'ms',
    better: 'less',
    alone: true,
  },
};
