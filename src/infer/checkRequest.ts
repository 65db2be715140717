// What is wrong with a request can be said before it waits for its turn.
import { HuacayaError, usageError } from '../base/index.ts';
import type { GenerationRequest } from './request.ts';
import { checkSampling } from './sampling.ts';

export interface GeneratorLimits {
  vocabSize: number;
  /** Most tokens of prompt and answer together. */
  positions: number;
}

/** @throws HuacayaError USAGE, TOO_LONG, TOKEN_RANGE. */
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
  const beyond = promptIds.find((id) => !(Number.isInteger(id) && id >= 0 && id < limits.vocabSize));
  if (beyond !== undefined) {
    throw new HuacayaError(
      'TOKEN_RANGE',
      `the prompt has the token id ${beyond}, the model knows ${limits.vocabSize}`,
      {
        hint: 'The tokenizer and the weights belong to different models.',
      },
    );
  }
}
