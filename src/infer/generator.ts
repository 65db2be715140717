// A TextGenerator on a decode engine: requests in, streams of text out.
import { HuacayaError, usageError } from '../base/index.ts';
import { type LlamaConfig, moduleShape } from '../models/index.ts';
import type { DecodeEngine } from '../runner/index.ts';
import { answerWithBeams } from './beamJob.ts';
import { checkBeam } from './beamOptions.ts';
import { checkRequest } from './checkRequest.ts';
import { Job, type TextDecoder } from './job.ts';
import type { Generated, GenerationRequest, GeneratorAdapter, Piece, TextGenerator } from './request.ts';
import { createScheduler } from './scheduler.ts';

export interface GeneratorOptions {
  engine: DecodeEngine;
  tokenizer: TextDecoder;
  /** For people. */
  precision: string;
  /** What must have gone well before anything that was generated is shown. */
  ready?: Promise<unknown>;
  /** Called by `close`, when no request is left; a pass may still be running, whose result nobody wants. */
  onClose?: () => Promise<void>;
}

/** @throws HuacayaError BAD_ADAPTER. */
function checkFits(name: string, { layout, params }: GeneratorAdapter, config: LlamaConfig): void {
  const bad = (detail: string) =>
    new HuacayaError('BAD_ADAPTER', `adapter "${name}" does not fit the model: ${detail}`);
  for (const { layer, module, kind, shape } of layout.tensors) {
    if (layer >= config.layers) throw bad(`it changes layer ${layer}, the model has ${config.layers}`);
    const width = moduleShape(config, module)[kind === 'A' ? 'in' : 'out'];
    const own = shape[kind === 'A' ? 1 : 0];
    if (own !== width) throw bad(`${kind} of ${module} is for a width of ${own}, the model has ${width}`);
  }
  if (params.length < layout.size) throw bad(`it has ${params.length} numbers of ${layout.size}`);
}

export function createGenerator(options: GeneratorOptions): TextGenerator {
  const { engine, tokenizer, precision } = options;
  const scheduler = createScheduler(engine);
  options.ready?.catch(() => {}); // whoever asks for text is told
  const adapters = new Set<string>();
  const coming = new Set<string>();
  /** Until the last request that uses them has ended. */
  const going = new Map<string, Promise<void>>();
  const info = { vocabSize: engine.config.vocabSize, positions: engine.capacity, slots: engine.slots, precision };
  let closing: Promise<void> | undefined;

  function check(request: GenerationRequest): void {
    checkRequest(request, info);
    const { adapter, beam } = request;
    if (adapter !== undefined && !adapters.has(adapter)) {
      throw new HuacayaError('UNKNOWN_ADAPTER', `there is no adapter "${adapter}"`);
    }
    if (!beam) return;
    checkBeam(beam, request);
    if (beam.numBeams >= engine.slots) {
      throw usageError(
        `num_beams is ${beam.numBeams}; this model was loaded with ${engine.slots} slots, which allow ${engine.slots - 1}`,
        'Load it with more slots.',
      );
    }
  }

  async function beams(job: Job): Promise<void> {
    scheduler.totals.generatedTokens += await answerWithBeams(job, engine, scheduler.slots, tokenizer);
  }

  function start(request: GenerationRequest): Job {
    check(request);
    const { signal, beam } = request;
    const job = new Job(request, tokenizer);
    scheduler.add(job, beam ? () => beams(job) : undefined);
    if (signal?.aborted) scheduler.cancel(job);
    else if (signal) {
      const cancel = () => scheduler.cancel(job);
      signal.addEventListener('abort', cancel);
      job.onEnd = () => signal.removeEventListener('abort', cancel);
    }
    return job;
  }

  async function* read(request: GenerationRequest, held: { leave(): void }): AsyncGenerator<Piece, Generated> {
    const job = start(request);
    held.leave = () => {
      job.abort();
      scheduler.cancel(job);
    };
    try {
      for (;;) {
        const piece = await job.pieces.next();
        await options.ready;
        if (!piece) return job.result();
        yield piece;
      }
    } finally {
      held.leave();
    }
  }

  function generate(request: GenerationRequest): AsyncGenerator<Piece, Generated> {
    const held = { leave() {} };
    const pieces = read(request, held);
    // By itself a generator that waits would notice only after the next piece that nobody wants the reader.
    const leave = pieces.return.bind(pieces);
    pieces.return = (value) => {
      held.leave();
      return leave(value);
    };
    return pieces;
  }

  return {
    info,
    generate,
    get adapters() {
      return [...adapters];
    },
    async addAdapter(name, adapter) {
      if (adapters.has(name) || coming.has(name)) throw usageError(`there is an adapter "${name}" already`);
      checkFits(name, adapter, engine.config);
      coming.add(name);
      try {
        await going.get(name);
        await scheduler.change(() => {
          try {
            engine.setAdapter(name, adapter);
          } catch (e) {
            engine.setAdapter(name, undefined);
            throw e;
          }
        });
        adapters.add(name);
      } finally {
        coming.delete(name);
      }
    },
    async removeAdapter(name) {
      if (!adapters.delete(name)) throw new HuacayaError('UNKNOWN_ADAPTER', `there is no adapter "${name}"`);
      const gone = scheduler.change(
        () => {
          engine.setAdapter(name, undefined);
          scheduler.slots.forget((key) => key !== '' && JSON.parse(key)[0] === name);
        },
        (job) => job.use?.name === name,
      );
      going.set(name, gone);
      try {
        await gone;
      } finally {
        going.delete(name);
      }
    },
    stats: () => ({ ...scheduler.totals, ...scheduler.counts() }),
    close() {
      closing ??= (async () => {
        const atRest = scheduler.close();
        await options.onClose?.();
        await atRest;
      })();
      return closing;
    },
  };
}
