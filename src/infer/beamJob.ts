// A request for beam search: it has the engine for itself, and its answer comes in one piece.
import type { DecodeEngine } from '../runner/index.ts';
import { beamSearch } from './beam.ts';
import { engineBeamModel } from './engineBeamModel.ts';
import { endTokens, type Job, type TextDecoder } from './job.ts';
import type { Slots } from './slots.ts';
import { createStopFilter } from './stopStrings.ts';

/** @returns how many tokens the answer has. @throws HuacayaError ENGINE, TOKEN_RANGE. */
export async function answerWithBeams(
  job: Job,
  engine: DecodeEngine,
  slots: Slots,
  tokenizer: TextDecoder,
): Promise<number> {
  const { maxNewTokens, sampling, beam, stop = [] } = job.request;
  // Slots are used without asking: what they held is gone.
  for (const slot of slots.all.slice(0, beam!.numBeams + 1)) slot.tokens = [];

  const textOf = (ids: readonly number[]) => {
    const decoder = tokenizer.stream();
    const filter = createStopFilter(stop);
    const text = ids.map((id) => filter.push(decoder.push(id))).join('');
    const rest = filter.met === undefined ? filter.push(decoder.flush()) + filter.flush() : '';
    return { text: text + rest, met: filter.met };
  };
  const [best] = await beamSearch(engineBeamModel(engine, beam!.numBeams, job.use), job.tokens, {
    ...beam!,
    maxNewTokens,
    eosIds: [...endTokens(job.request, tokenizer)],
    repetitionPenalty: sampling.repetitionPenalty,
    signal: job.stopping.signal,
    ...(stop.length > 0 ? { ends: (ids) => textOf(ids).met !== undefined } : {}),
  });
  if (job.finish) return 0;
  const { ids } = best!;
  const { text, met } = textOf(best!.finish === 'eos' ? ids.slice(0, -1) : ids);
  // What a search that was cut short liked best so far is not its answer, whole as it may look.
  const finish = job.stopping.signal.aborted ? 'aborted' : best!.finish;
  job.answer({ ids, text, finish, ...(finish === 'stop' && met !== undefined ? { stopString: met } : {}) });
  return ids.length;
}
