// Log-probabilities of given tokens from a generator, through what it does for everybody: the first tokens are a prompt,
// and the others are the only ones that a constraint allows. So the prompt's pass, the cache and the decoding of single
// tokens are all measured, each as it is used.
import { defaultSampling } from '../dist/infer/index.js';

/** Allows exactly `ids`, one after another. */
function forced(ids, vocabSize) {
  const bits = new Uint32Array(Math.ceil(vocabSize / 32));
  let at = 0;
  return {
    allowed() {
      bits.fill(0);
      bits[ids[at] >> 5] |= 1 << (ids[at] & 31);
      return bits;
    },
    accept() {
      at = Math.min(at + 1, ids.length - 1);
    },
  };
}

/** Sum of the negative log-likelihoods (nats) of ids[from...], each with all tokens before it. */
export async function scoreForced(generator, ids, from) {
  const rest = ids.slice(from);
  const pieces = generator.generate({
    promptIds: ids.slice(0, from),
    maxNewTokens: rest.length,
    sampling: defaultSampling,
    ignoreEos: true,
    topLogprobs: 0,
    constraint: forced(rest, generator.info.vocabSize),
  });
  let piece = await pieces.next();
  while (!piece.done) piece = await pieces.next();
  const { ids: made, logprobs } = piece.value;
  const wrong = made.findIndex((id, i) => id !== rest[i]);
  if (wrong >= 0 || made.length < rest.length) {
    throw new Error(`token ${from + Math.max(wrong, 0)} should have been ${rest[wrong]}, it was ${made[wrong]}`);
  }
  return -logprobs.reduce((sum, t) => sum + t.logprob, 0);
}
