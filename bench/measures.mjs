// What `npm run bench:train` measures: one entry a measure. Names are stable: results and --only go by them.
// ours: precision of trainOurs.mjs, flags: more for it; peer: mode of peers/peft_bench.py; figure: the field of their JSON
// lines that is compared; better: 'more' or 'less'.
// examples, pack, runs: defaults that the command line overrides. Runs with equal settings are made once for all measures.

const small = { examples: 48, pack: 1024, cutoff: 256 };
/** Three full packs, of which the first is not timed: a run takes about a minute. */
const large = { shape: '1.1b', examples: 18, pack: 1024, cutoff: 256 };

/** Two packs: the peak is reached in the first, and the second shows that nothing grows. It hardly varies. */
const huge = { shape: '7b', examples: 7, pack: 512, cutoff: 256, runs: 1, flags: ['--recompute'] };

const speed = { figure: 'useful_tokens_per_s', better: 'more' };
const memory = { figure: 'peak_rss_gb', better: 'less' };

export const measures = {
  'int8 against padded bf16, useful tok/s': { ours: 'int8', peer: 'padded-bf16', ...small, ...speed },
  'int8 against packed bf16, useful tok/s': { ours: 'int8', peer: 'packed-bf16', ...small, ...speed },
  'int8 against bf16 by segments, useful tok/s': { ours: 'int8', peer: 'segments-bf16', ...small, ...speed },
  'fp32 against padded fp32, useful tok/s': { ours: 'fp32', peer: 'padded-fp32', ...small, ...speed },
  'int8 against padded bf16, peak RSS in GB': { ours: 'int8', peer: 'padded-bf16', ...small, ...memory },
  '1.1B int8 against packed bf16, useful tok/s': { ours: 'int8', peer: 'packed-bf16', ...large, ...speed },
  '1.1B int8 in one copy against packed bf16, useful tok/s': {
    ours: 'int8',
    flags: ['--one-copy'],
    peer: 'packed-bf16',
    ...large,
    ...speed,
  },
  '1.1B peak RSS, int8 in one copy against packed bf16': {
    ours: 'int8',
    flags: ['--one-copy'],
    peer: 'packed-bf16',
    ...large,
    ...memory,
  },
  '1.1B peak RSS, int8 in one copy with recompute against packed bf16': {
    ours: 'int8',
    flags: ['--one-copy', '--recompute'],
    peer: 'packed-bf16',
    ...large,
    ...memory,
  },
  '7B int4 pack 512, peak RSS in GB': { ours: 'int4', ...huge, ...memory },
  '7B w4a8 pack 512, peak RSS in GB': { ours: 'w4a8', ...huge, ...memory },
  'share of a step outside matrix products, 135M int8': {
    ours: 'int8',
    flags: ['--profile'],
    ...small,
    figure: 'outside_products',
    better: 'less',
  },
};
