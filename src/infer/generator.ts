// A TextGenerator on a decode engine: requests in, streams of text out.
import { HuacayaError, usageError } from '../base/index.ts';
import type { DecodeEngine } from '../runner/index.ts';
import { beamSearch } from './beam.ts';
import { checkBeam } from './beamOptions.ts';
import { engineBeamModel } from './engineBeamModel.ts';
import { checkRequest, Job, type TextDecoder } from './job.ts';
import type { Generated, GenerationRequest, Piece, TextGenerator } from './request.ts';
import { createScheduler } from './scheduler.ts';
import { createStopFilter } from './stopStrings.ts';

export interface GeneratorOptions {
  engine: DecodeEngine;
  tokenizer: TextDecoder;
  /** For people. */
  precision: string;
  /** What must have gone well before anything that was generated is shown. */
  ready?: Promise<unknown>;
  /** Called by `close`, when no request is left. */
  onClose?: () => Promise<void>;
}

export function createGenerator(options: GeneratorOptions): TextGenerator {
  const { engine, tokenizer, precision } = options;
  const scheduler = createScheduler(engine);
  options.ready?.catch(() => {}); // whoever asks for text is told
  const adapters = new Set<string>();
  const info = { vocabSize: engine.config.vocabSize, positions: engine.capacity, slots: engine.slots, precision };

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

  /** The best of several beams, in one piece; other requests wait meanwhile. */
  async function* beams(request: GenerationRequest): AsyncGenerator<Piece, Generated> {
    const job = new Job(request, tokenizer);
    const { promptIds, maxNewTokens, sampling, signal, beam, stop = [] } = request;
    const textOf = (ids: readonly number[]) => {
      const decoder = tokenizer.stream();
      const filter = createStopFilter(stop);
      const text = ids.map((id) => filter.push(decoder.push(id))).join('');
      const rest = filter.met === undefined ? filter.push(decoder.flush()) + filter.flush() : '';
      return { text: text + rest, met: filter.met };
    };
    const [best, started, ended] = await scheduler.runAlone(async () => {
      const from = performance.now();
      job.started();
      // The slots are used without asking: what they held is gone.
      for (const slot of scheduler.slots.all) slot.tokens = [];
      const found = await beamSearch(engineBeamModel(engine, beam!.numBeams, job.use), promptIds, {
        ...beam!,
        maxNewTokens,
        eosIds: [...(request.ignoreEos ? [] : tokenizer.eosIds), ...(request.stopIds ?? [])],
        repetitionPenalty: sampling.repetitionPenalty,
        ...(signal ? { signal } : {}),
        ...(stop.length > 0 ? { ends: (ids) => textOf(ids).met !== undefined } : {}),
      });
      return [found[0]!, from, performance.now()] as const;
    });
    scheduler.totals.promptTokens += promptIds.length;
    scheduler.totals.generatedTokens += best.ids.length;
    scheduler.totals.decodeSeconds += (ended - started) / 1000;
    const ids = [...best.ids];
    const { text, met } = textOf(best.finish === 'eos' ? ids.slice(0, -1) : ids);
    yield { text, ids };
    return {
      ...job.result(),
      text,
      ids,
      finish: best.finish,
      ...(met === undefined ? {} : { stopString: met }),
      prefillSeconds: 0,
      decodeSeconds: (ended - started) / 1000,
    };
  }

  async function* generate(request: GenerationRequest): AsyncGenerator<Piece, Generated> {
    check(request);
    if (request.beam) return yield* beams(request);
    const job = new Job(request, tokenizer);
    const onAbort = () => scheduler.wake();
    request.signal?.addEventListener('abort', onAbort);
    scheduler.add(job);
    try {
      for (;;) {
        const piece = await job.pieces.next();
        await options.ready;
        if (!piece) return job.result();
        yield piece;
      }
    } finally {
      job.left = true;
      request.signal?.removeEventListener('abort', onAbort);
    }
  }

  return {
    info,
    generate,
    get adapters() {
      return [...adapters];
    },
    async addAdapter(name, adapter) {
      if (adapters.has(name)) throw usageError(`there is an adapter "${name}" already`);
      adapters.add(name);
      await scheduler
        .runAlone(() => engine.setAdapter(name, adapter))
        .catch((e) => {
          adapters.delete(name);
          throw e;
        });
    },
    async removeAdapter(name) {
      if (!adapters.delete(name)) throw new HuacayaError('UNKNOWN_ADAPTER', `there is no adapter "${name}"`);
      await scheduler.runAlone(() => {
        engine.setAdapter(name, undefined);
        scheduler.slots.forget((key) => key !== '' && JSON.parse(key)[0] === name);
      });
    },
    stats: () => ({ ...scheduler.totals, ...scheduler.counts() }),
    async close() {
      scheduler.close();
      await options.onClose?.();
    },
  };
}
