// What bitsandbytes keeps beside a 4-bit matrix: `X.quant_state.bitsandbytes__nf4` (or fp4), JSON as a byte tensor.
import { HuacayaError } from '../base/index.ts';
import { type FourBitType, fourBitLevels } from './bitsandbytes.ts';
import { quote } from './quote.ts';
import { isJsonObject, parseStrictJson } from './strictJson.ts';

export interface QuantState {
  type: FourBitType;
  /** Elements that share a scale. */
  blockSize: number;
  /** Of the matrix. */
  shape: number[];
  /** Where the scales are quantised too: codes that share a scale, and what is added to each. */
  nested?: { blockSize: number; offset: number };
}

/** Longer than any; it is checked before the text is read. */
export const maxQuantState = 4096;

export function badQuantisation(file: string, why: string): HuacayaError {
  return new HuacayaError('BAD_QUANTISATION', `${file}: ${why}`, {
    hint: 'The checkpoint is damaged, or was not written by bitsandbytes: download it again.',
  });
}

/** bitsandbytes offers 32 to 4,096. */
const isBlockSize = (value: unknown): value is number =>
  Number.isInteger(value) &&
  (value as number) >= 16 &&
  (value as number) <= 65536 &&
  Math.log2(value as number) % 1 === 0;

/**
 * @param name of the byte tensor, for messages.
 * @throws HuacayaError BAD_QUANTISATION.
 */
export function parseQuantState(file: string, name: string, bytes: Uint8Array): QuantState {
  const bad = (why: string) => badQuantisation(file, `${quote(name)} ${why}`);
  const root = parseStrictJson(new TextDecoder().decode(bytes), bad);
  if (!isJsonObject(root)) throw bad('is not a JSON object');
  const field = <T>(key: string, is: (value: unknown) => value is T): T => {
    const value = root[key];
    if (!is(value)) throw bad(`has the ${key} ${(JSON.stringify(value) ?? 'nothing').slice(0, 100)}`);
    return value;
  };
  const type = field('quant_type', (v): v is FourBitType => typeof v === 'string' && Object.hasOwn(fourBitLevels, v));
  const blockSize = field('blocksize', isBlockSize);
  const isShape = (v: unknown): v is number[] => Array.isArray(v) && v.every((size) => Number.isSafeInteger(size));
  const shape = field('shape', isShape);
  if (root.nested_blocksize === undefined && root.nested_offset === undefined) return { type, blockSize, shape };
  const offset = field('nested_offset', (v): v is number => typeof v === 'number');
  return { type, blockSize, shape, nested: { blockSize: field('nested_blocksize', isBlockSize), offset } };
}
