// What tests of generators share: one on a fake engine, a request, reading an answer, and the answer that must come out.
import { createRng } from '../../src/base/index.ts';
import {
  applyAdjustments,
  createAdjustments,
  createGenerator,
  createStopFilter,
  defaultSampling,
  forbid,
  type Generated,
  type GenerationRequest,
  type GeneratorOptions,
  type Piece,
  type SamplingOptions,
  sampleToken,
  type TextDecoder,
  type TextGenerator,
} from '../../src/infer/index.ts';
import { fromTokenizerJson } from '../../src/tokenizer/index.ts';
import { FakeEngine, type FakeEngineOptions, fakeAdapter, fakeAdapterKey, hashModel } from './fakeEngine.ts';
import { tinyTokenizerConfig, tinyTokenizerJson } from './tinyTokenizer.ts';

export const tokenizer = fromTokenizerJson(tinyTokenizerJson(), tinyTokenizerConfig());

export function setUp(options: FakeEngineOptions = {}, more: Partial<GeneratorOptions> = {}) {
  const engine = new FakeEngine(options);
  const generator = createGenerator({ engine: engine.asEngine, tokenizer, precision: 'fp32', ...more });
  return { engine, generator };
}

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

/** Reads to the end. @param pieces that were read already. @throws what the generator throws; an Error when pieces and answer contradict each other. */
export async function collect(answer: AsyncGenerator<Piece, Generated>, pieces: Piece[] = []): Promise<Collected> {
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

/** Reads one piece. */
export async function begin(answer: AsyncGenerator<Piece, Generated>): Promise<Piece[]> {
  const { value, done } = await answer.next();
  if (done) throw new Error('there is no piece');
  return [value];
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

/** The answer that a request gets from `hashModel`, worked out without an engine. */
export function expected(asked: GenerationRequest, weight = 1) {
  const { adapter, adapterScale: scale = 1 } = asked;
  const key = adapter && scale !== 0 ? fakeAdapterKey({ name: adapter, scale }, fakeAdapter(weight)) : '';
  return referenceAnswer((ids) => hashModel(ids, new Array(ids.length).fill(key)), tokenizer, asked);
}

/** A text of so many tokens. */
export const ids = (count: number, seed = 1) =>
  Array.from({ length: count }, (_, i) => (seed * 37 + i * i * seed) % 290);
/** Lets everything that can go on without a timer go on. */
export const settle = async () => {
  for (let i = 0; i < 20; i++) await new Promise((next) => setImmediate(next));
};
/** A gate that stays shut until it is opened. */
export function gate() {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}
