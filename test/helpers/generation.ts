// What tests of generators share: a request, reading an answer to its end, and the answer that must come out.
import { createRng } from '../../src/base/index.ts';
import {
  applyAdjustments,
  createAdjustments,
  createStopFilter,
  defaultSampling,
  forbid,
  type Generated,
  type GenerationRequest,
  type Piece,
  type SamplingOptions,
  sampleToken,
  type TextDecoder,
  type TextGenerator,
} from '../../src/infer/index.ts';

export type Wishes = Partial<Omit<GenerationRequest, 'sampling'>> & { sampling?: Partial<SamplingOptions> };

export const request = ({ sampling, ...wishes }: Wishes = {}): GenerationRequest => ({
  promptIds: [1, 2, 3],
  maxNewTokens: 12,
  ...wishes,
  sampling: { ...defaultSampling, ...sampling },
});

export interface Collected extends Generated {
  pieces: Piece[];
}

/** Reads to the end. @throws what the generator throws; an Error when pieces and answer contradict each other. */
export async function collect(answer: AsyncGenerator<Piece, Generated>): Promise<Collected> {
  const pieces: Piece[] = [];
  for (;;) {
    const step = await answer.next();
    if (!step.done) {
      pieces.push(step.value);
      continue;
    }
    const { text, ids, logprobs } = step.value;
    if (pieces.map((p) => p.text).join('') !== text) throw new Error('pieces and text differ');
    if (String(pieces.flatMap((p) => p.ids)) !== String(ids)) throw new Error('pieces and ids differ');
    const shown = pieces.flatMap((p) => p.logprobs ?? []);
    if (logprobs && (shown.length !== ids.length || shown.some((l, i) => l !== logprobs[i]))) {
      throw new Error('pieces and log-probabilities differ');
    }
    return { ...step.value, pieces };
  }
}

export const ask = (generator: TextGenerator, wishes?: Wishes) => collect(generator.generate(request(wishes)));

/** Logits after prompt and answer so far. */
export type NextLogits = (ids: readonly number[]) => Float32Array | Promise<Float32Array>;

/** The plainest way to answer a request: the whole row of logits for each token, one after the other. */
export async function referenceAnswer(next: NextLogits, tokenizer: TextDecoder, asked: GenerationRequest) {
  const { promptIds, maxNewTokens, sampling, stop = [], stopIds = [], ignoreEos, constraint } = asked;
  const rng = createRng(sampling.seed);
  const adjustments = createAdjustments(sampling, promptIds);
  const decoder = tokenizer.stream();
  const filter = createStopFilter(stop);
  const ids: number[] = [];
  let text = '';
  let finish: Generated['finish'] | undefined;
  while (!finish) {
    let row = await next([...promptIds, ...ids]);
    if (adjustments) row = applyAdjustments(row, adjustments.current());
    if (constraint) row = forbid(row, constraint.allowed());
    const id = sampleToken(row, sampling, rng);
    ids.push(id);
    adjustments?.push(id);
    if ((!ignoreEos && tokenizer.eosIds.includes(id)) || stopIds.includes(id)) finish = 'eos';
    else {
      constraint?.accept(id);
      text += filter.push(decoder.push(id));
      if (filter.met !== undefined) finish = 'stop';
      else if (ids.length === maxNewTokens) finish = 'length';
    }
  }
  if (finish !== 'stop') text += filter.push(decoder.flush()) + filter.flush();
  return { text, ids, finish };
}
