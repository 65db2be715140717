// One request while it is answered: what it has generated, what of that is certain as text, and when it ends.
import { createRng, HuacayaError, usageError } from '../base/index.ts';
import type { AdapterUse, Picked } from '../runner/index.ts';
import { type AdjustmentTracker, createAdjustments } from './adjustments.ts';
import { type Candidates, type RawCandidates, restrictCandidates } from './candidates.ts';
import { type Channel, createChannel } from './channel.ts';
import { tokenLogprob } from './logprobs.ts';
import type { FinishReason, Generated, GenerationRequest, Piece, TokenLogprob } from './request.ts';
import { sampleCandidates } from './sampler.ts';
import { checkSampling, isGreedy } from './sampling.ts';
import type { Slot } from './slots.ts';
import { createStopFilter } from './stopStrings.ts';

/** What generation needs of a tokenizer. */
export interface TextDecoder {
  readonly eosIds: readonly number[];
  stream(): { push(id: number): string; flush(): string };
}

export interface GeneratorLimits {
  vocabSize: number;
  /** Most tokens of prompt and answer together. */
  positions: number;
}

/** @throws HuacayaError USAGE, TOO_LONG. */
export function checkRequest(request: GenerationRequest, limits: GeneratorLimits): void {
  const { promptIds, maxNewTokens, adapterScale = 1, topLogprobs = 0 } = request;
  checkSampling(request.sampling, limits.vocabSize);
  if (!Number.isSafeInteger(maxNewTokens) || maxNewTokens < 1) {
    throw usageError(`max_new_tokens is ${maxNewTokens}; it must be a whole number of at least 1`);
  }
  if (promptIds.length === 0) throw usageError('the prompt is empty');
  if (!Number.isFinite(adapterScale)) throw usageError(`adapter_scale is ${adapterScale}; it must be a number`);
  if (!(Number.isInteger(topLogprobs) && topLogprobs >= 0 && topLogprobs <= 20)) {
    throw usageError(`logprobs is ${topLogprobs}; use 0 to 20`);
  }
  const needed = promptIds.length + maxNewTokens;
  if (needed > limits.positions) {
    throw new HuacayaError('TOO_LONG', `prompt and answer need ${needed} positions, there are ${limits.positions}`, {
      hint: 'Shorten the prompt, ask for fewer new tokens, or load the model with a longer context.',
    });
  }
}

const aborted = (request: GenerationRequest) => request.signal?.aborted === true;

export class Job {
  readonly request: GenerationRequest;
  readonly pieces: Channel<Piece> = createChannel();
  readonly ids: number[] = [];
  readonly use: AdapterUse | undefined;
  slot: Slot | undefined;
  /** Tokens of the prompt that are computed or were there. */
  done = 0;
  cachedTokens = 0;
  /** The reader went away. */
  left = false;
  finish: FinishReason | undefined;
  private readonly rng;
  private readonly decoder;
  private readonly filter;
  private readonly ends: ReadonlySet<number>;
  private readonly adjustments: AdjustmentTracker | undefined;
  private readonly logprobs: TokenLogprob[] = [];
  private text = '';
  private readonly askedAt = performance.now();
  private startedAt = 0;
  private firstAt = 0;

  constructor(request: GenerationRequest, tokenizer: TextDecoder) {
    this.request = request;
    const { adapter, adapterScale = 1, sampling } = request;
    this.use = adapter !== undefined && adapterScale !== 0 ? { name: adapter, scale: adapterScale } : undefined;
    this.rng = createRng(sampling.seed);
    this.decoder = tokenizer.stream();
    this.filter = createStopFilter(request.stop ?? []);
    this.ends = new Set([...(request.ignoreEos ? [] : tokenizer.eosIds), ...(request.stopIds ?? [])]);
    this.adjustments = createAdjustments(sampling, request.promptIds);
  }

  /** What the keys and values of its tokens depend on. */
  get adapterKey(): string {
    return this.use ? JSON.stringify([this.use.name, this.use.scale]) : '';
  }

  get cancelled(): boolean {
    return this.left || aborted(this.request);
  }

  /** Its tokens so far, prompt first. */
  get tokens(): number[] {
    return [...this.request.promptIds, ...this.ids];
  }

  get room(): number {
    return this.request.maxNewTokens - this.ids.length;
  }

  /** The same tokens can be had from guesses: nothing follows each single token. */
  get maySpeculate(): boolean {
    return !this.adjustments && !this.request.constraint && this.request.topLogprobs === undefined;
  }

  get changes() {
    return this.adjustments?.current();
  }

  /** Temperature for which the mass is wanted; undefined where nobody looks at it. */
  get temperature(): number | undefined {
    return isGreedy(this.request.sampling) ? undefined : this.request.sampling.temperature;
  }

  /** Candidates that are enough for almost every choice. */
  get candidates(): number {
    return Math.max(64, Math.min(this.request.sampling.topK, 1024));
  }

  started(): void {
    this.startedAt = performance.now();
  }

  /** Chooses the next token. @param raw before adjustments, where log-probabilities are asked for. */
  async choose(picked: Picked, vocabSize: number, row: () => Promise<Float32Array>, raw?: Picked): Promise<number> {
    const { sampling, constraint, topLogprobs } = this.request;
    let c: Candidates = { ids: picked.ids, logits: picked.logits, vocabSize, mass: picked.mass, row };
    if (constraint) c = await restrictCandidates(c, constraint.allowed(), sampling);
    const choice = await sampleCandidates(c, sampling, this.rng);
    if (raw && topLogprobs !== undefined) {
      const own: RawCandidates = { ...raw, logSumExp: raw.logits[0]! + Math.log(raw.mass) };
      this.logprobs.push(tokenLogprob(own, choice, this.changes, topLogprobs));
    }
    return choice.id;
  }

  /** Takes a token; `finish` is set when it was the last one. */
  take(id: number): void {
    if (this.ids.length === 0) this.firstAt = performance.now();
    this.ids.push(id);
    this.adjustments?.push(id);
    const ends = this.ends.has(id);
    if (!ends) this.request.constraint?.accept(id);
    const shown = ends ? '' : this.filter.push(this.decoder.push(id));
    if (ends) this.finish = 'eos';
    else if (this.filter.met !== undefined) this.finish = 'stop';
    else if (this.room === 0) this.finish = 'length';
    this.show(shown, [id]);
    if (this.finish) this.end();
  }

  private pending: number[] = [];

  private show(text: string, ids: readonly number[]): void {
    this.text += text;
    this.pending.push(...ids);
    // Ids wait for the text that they end up in, unless somebody wants to see each one.
    if (!text && this.request.topLogprobs === undefined) return;
    const logprobs =
      this.request.topLogprobs === undefined ? {} : { logprobs: this.logprobs.slice(-this.pending.length) };
    this.pieces.push({ text, ids: this.pending, ...logprobs });
    this.pending = [];
  }

  private end(): void {
    const rest = this.finish === 'stop' ? '' : this.filter.push(this.decoder.flush()) + this.filter.flush();
    if (rest || this.pending.length > 0) {
      this.text += rest;
      this.pieces.push({ text: rest, ids: this.pending });
      this.pending = [];
    }
    this.pieces.end();
  }

  abort(): void {
    if (this.finish) return;
    this.finish = 'aborted';
    this.end();
  }

  fail(error: unknown): void {
    if (this.finish) return;
    this.finish = 'aborted';
    this.pieces.end(error);
  }

  result(): Generated {
    const now = performance.now();
    const started = this.startedAt || now;
    const first = this.firstAt || now;
    return {
      text: this.text,
      ids: this.ids,
      finish: this.finish ?? 'aborted',
      ...(this.filter.met !== undefined ? { stopString: this.filter.met } : {}),
      ...(this.request.topLogprobs !== undefined ? { logprobs: this.logprobs } : {}),
      promptTokens: this.request.promptIds.length,
      cachedTokens: this.cachedTokens,
      queueSeconds: (started - this.askedAt) / 1000,
      prefillSeconds: (first - started) / 1000,
      decodeSeconds: (now - first) / 1000,
    };
  }
}
