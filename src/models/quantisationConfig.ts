// config.json's quantization_config: which quantised checkpoints can be read at all.
import { HuacayaError } from '../base/index.ts';
import { quantisationHint } from './weights.ts';

/**
 * Says no to a checkpoint whose weights are quantised in a way that this version does not read. What bitsandbytes did
 * to each matrix is read from the matrix itself: modules may have been skipped, and `bnb_4bit_*` may differ.
 * @param where name for messages, e.g. the file's path.
 * @throws HuacayaError UNSUPPORTED_QUANTISATION, BAD_MODEL_CONFIG.
 */
export function checkQuantisationConfig(where: string, json: unknown): void {
  const config = json as Record<string, unknown>;
  // compressed-tensors wrote compression_config at first.
  const raw = config.quantization_config ?? config.compression_config;
  if (raw === undefined || raw === null) return;
  const bad = (why: string) => new HuacayaError('BAD_MODEL_CONFIG', `${where}: quantization_config ${why}`);
  if (typeof raw !== 'object') throw bad('is not a JSON object');
  const quantisation = raw as Record<string, unknown>;
  const four = quantisation.load_in_4bit === true;
  const eight = quantisation.load_in_8bit === true;
  // The first versions of transformers with bitsandbytes named no method.
  const method = quantisation.quant_method ?? (four || eight ? 'bitsandbytes' : undefined);
  if (method !== 'bitsandbytes') {
    const called = method === undefined ? 'by a method that it does not name' : `with ${JSON.stringify(method)}`;
    throw new HuacayaError(
      'UNSUPPORTED_QUANTISATION',
      `${where}: the weights are quantised ${called}, which this version does not read`,
      { hint: quantisationHint },
    );
  }
  if (four && eight) throw bad('asks for load_in_4bit and load_in_8bit at once');
}
