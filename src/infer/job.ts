// One request while it is answered: what it has generated, what of that is certain as text, and when it ends.
import { createRng } from '../base/index.ts';
import type { AdapterUse, Picked } from '../runner/index.ts';
import { type AdjustmentTracker, createAdjustments } from './adjustments.ts';
import { type Candidates, type RawCandidates, restrictCandidates } from './candidates.ts';
import { type Channel, createChannel } from './channel.ts';
import { tokenLogprob } from './logprobs.ts';
import { createGuessMeter } from './promptLookup.ts';
import type { FinishReason, Generated, GenerationRequest, Piece, TokenLogprob } from './request.ts';
import { sampleCandidates } from './sampler.ts';
import { isGreedy } from './sampling.ts';
import type { Slot } from './slots.ts';
import { createStopFilter } from './stopStrings.ts';

/** What generation needs of a tokenizer. */
export interface TextDecoder {
  readonly eosIds: readonly number[];
  stream(): { push(id: number): string; flush(): string };
}

export class Job {
  readonly request: GenerationRequest;
  readonly pieces: Channel<Piece> = createChannel();
  /** Prompt and answer so far. */
  readonly tokens: number[];
  readonly promptTokens: number;
  readonly use: AdapterUse | undefined;
  /** What the keys and values of its tokens depend on besides those; '' without an adapter. */
  readonly adapterKey: string;
  readonly guessing = createGuessMeter();
  /** Aborted when nobody wants more; for what looks at it between its own passes. */
  readonly stopping = new AbortController();
  slot: Slot | undefined;
  cachedTokens = 0;
  /** Set once and for all, when the last piece is on its way to the reader. */
  finish: FinishReason | undefined;
  onEnd: (() => void) | undefined;
  private readonly rng;
  private readonly decoder;
  private readonly filter;
  private readonly ends: ReadonlySet<number>;
  private readonly adjustments: AdjustmentTracker | undefined;
  private readonly logprobs: TokenLogprob[] = [];
  /** Of the token that was chosen. */
  private logprob: TokenLogprob | undefined;
  private ids: number[] = [];
  private text = '';
  private stopString: string | undefined;
  /** Tokens since the last piece. */
  private unseen: number[] = [];
  private readonly askedAt = performance.now();
  private startedAt: number | undefined;
  private firstAt: number | undefined;
  private endedAt: number | undefined;

  constructor(request: GenerationRequest, tokenizer: TextDecoder) {
    this.request = request;
    const { adapter, adapterScale = 1, sampling } = request;
    this.tokens = [...request.promptIds];
    this.promptTokens = this.tokens.length;
    this.use = adapter !== undefined && adapterScale !== 0 ? { name: adapter, scale: adapterScale } : undefined;
    this.adapterKey = this.use ? JSON.stringify([this.use.name, this.use.scale]) : '';
    this.rng = createRng(sampling.seed);
    this.decoder = tokenizer.stream();
    this.filter = createStopFilter(request.stop ?? []);
    this.ends = endTokens(request, tokenizer);
    this.adjustments = createAdjustments(sampling, request.promptIds);
  }

  /** Tokens that the engine has not seen yet: what is left of the prompt, or the last one of the answer. */
  get pending(): number {
    return this.tokens.length - this.slot!.tokens.length;
  }

  /** Tokens that may still come. */
  get room(): number {
    return this.request.maxNewTokens - this.ids.length;
  }

  /** The same tokens can be had from guesses: nothing follows each single token. */
  get maySpeculate(): boolean {
    return (
      this.request.speculate !== false &&
      !this.adjustments &&
      !this.request.constraint &&
      this.request.topLogprobs === undefined
    );
  }

  get changes() {
    return this.adjustments?.current();
  }

  /** Temperature for which the mass is wanted; undefined where nobody looks at it. */
  get temperature(): number | undefined {
    return isGreedy(this.request.sampling) ? undefined : this.request.sampling.temperature;
  }

  /** Candidates that are enough for almost every choice. Powers of two: each number is a program of its own. */
  get candidates(): number {
    const { topK } = this.request.sampling;
    return topK <= 64 ? 64 : Math.min(1024, 2 ** Math.ceil(Math.log2(topK)));
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
      this.logprob = tokenLogprob(own, choice, this.changes, topLogprobs);
    }
    return choice.id;
  }

  /** Takes the token that was chosen; `finish` is set when it was the last one. */
  take(id: number): void {
    this.firstAt ??= performance.now();
    this.ids.push(id);
    this.tokens.push(id);
    this.unseen.push(id);
    if (this.logprob) this.logprobs.push(this.logprob);
    this.adjustments?.push(id);
    const ends = this.ends.has(id);
    if (!ends) this.request.constraint?.accept(id);
    const text = ends ? '' : this.filter.push(this.decoder.push(id));
    // Ids wait for the text that they end up in, unless somebody wants to see each one.
    if (text || this.request.topLogprobs !== undefined) this.show(text);
    if (ends) this.endWith('eos');
    else if (this.filter.met !== undefined) this.endWith('stop');
    else if (this.room === 0) this.endWith('length');
  }

  private show(text: string): void {
    this.text += text;
    const ids = this.unseen;
    this.unseen = [];
    const asked = this.request.topLogprobs !== undefined;
    const logprobs = asked ? { logprobs: this.logprobs.slice(this.logprobs.length - ids.length) } : {};
    this.pieces.push({ text, ids, ...logprobs });
  }

  private endWith(finish: FinishReason): void {
    const rest = finish === 'stop' ? '' : this.filter.push(this.decoder.flush()) + this.filter.flush();
    if (rest || this.unseen.length > 0) this.show(rest);
    if (finish === 'stop') this.stopString = this.filter.met;
    this.close(finish);
  }

  private close(finish: FinishReason, error?: unknown): void {
    this.finish = finish;
    this.endedAt = performance.now();
    this.stopping.abort();
    this.pieces.end(error);
    this.onEnd?.();
  }

  /** Takes a whole answer at once. */
  answer(found: Pick<Generated, 'ids' | 'text' | 'finish' | 'stopString'>): void {
    if (this.finish) return;
    this.firstAt = this.startedAt;
    this.ids = found.ids;
    this.unseen = found.ids;
    this.stopString = found.stopString;
    this.show(found.text);
    this.close(found.finish);
  }

  /** Ends it at once, with what is certain; for the reader also while a pass is running. */
  abort(): void {
    if (!this.finish) this.endWith('aborted');
  }

  /** Ends it; the reader gets the error after what was there before. */
  fail(error: unknown): void {
    if (!this.finish) this.close('aborted', error);
  }

  result(): Generated {
    const ended = this.endedAt ?? performance.now();
    const started = this.startedAt ?? ended;
    const first = this.firstAt ?? ended;
    return {
      text: this.text,
      ids: this.ids,
      finish: this.finish ?? 'aborted',
      ...(this.stopString !== undefined ? { stopString: this.stopString } : {}),
      ...(this.request.topLogprobs !== undefined ? { logprobs: this.logprobs } : {}),
      promptTokens: this.promptTokens,
      cachedTokens: this.cachedTokens,
      queueSeconds: (started - this.askedAt) / 1000,
      prefillSeconds: (first - started) / 1000,
      decodeSeconds: (ended - first) / 1000,
    };
  }
}

/** Tokens that end the answer to a request. */
export const endTokens = (request: GenerationRequest, tokenizer: TextDecoder): ReadonlySet<number> =>
  new Set([...(request.ignoreEos ? [] : tokenizer.eosIds), ...(request.stopIds ?? [])]);
