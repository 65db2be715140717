// Weights of a Hugging Face checkpoint that bitsandbytes quantised. Any matrix may be 4-bit, 8-bit or plain; each says
// itself which it is.
import { HuacayaError } from '../base/index.ts';
import { fourBitType, openFourBit } from './bitsandbytes4Bit.ts';
import { isEightBit, openEightBit } from './bitsandbytes8Bit.ts';
import type { QuantisedMatrix, RawTensorReader } from './bitsandbytesParts.ts';
import type { LlamaConfig } from './config.ts';
import {
  allRoles,
  checkPlainTensor,
  effectiveRole,
  expectedShape,
  huggingFaceName,
  type TensorReader,
  type WeightRole,
  type WeightSource,
  withNormOffset,
} from './weights.ts';

/** Whether any weight of the file is in a layout of bitsandbytes. */
export function isBitsandbytes(file: TensorReader): boolean {
  for (const name of file.tensors.keys()) {
    if (name.endsWith('.SCB') || name.includes('.quant_state.bitsandbytes__')) return true;
  }
  return false;
}

/**
 * The layout of every weight is checked here, against its shape and the size of what lies beside it; reading
 * dequantises to float32, a few MB at a time.
 * @throws HuacayaError MISSING_TENSOR, WRONG_SHAPE, BAD_QUANTISATION, UNSUPPORTED_QUANTISATION.
 */
export async function bitsandbytesWeights(file: RawTensorReader, c: LlamaConfig): Promise<WeightSource> {
  if (c.fused) {
    throw new HuacayaError(
      'UNSUPPORTED_QUANTISATION',
      `${file.name}: bitsandbytes with the fused tensors of ${c.architecture}`,
      {
        hint: 'Take the model in float16 or bfloat16; --precision nf4 makes it as small.',
      },
    );
  }
  const quantised = new Map<string, QuantisedMatrix>();
  for (const role of allRoles(c)) {
    const name = huggingFaceName(role, c);
    const matrix = await openMatrix(file, c, role, name);
    if (matrix) quantised.set(name, matrix);
  }
  return {
    async read(role, rows) {
      const name = huggingFaceName(effectiveRole(c, role), c);
      const matrix = quantised.get(name);
      if (!matrix) return withNormOffset(c, role, await file.readFloat32(name, rows?.[0], rows?.[1]));
      const count = expectedShape(c, role)[0]!;
      const [first, last] = rows ?? [0, count];
      if (!(first >= 0 && first <= last && last <= count)) {
        throw new HuacayaError(
          'ROW_RANGE',
          `${file.name}: ${name} has ${count} rows; asked for rows ${first} to ${last}`,
        );
      }
      return matrix.read(first, last);
    },
    readNf4: async (role) => quantised.get(huggingFaceName(effectiveRole(c, role), c))?.readNf4?.(),
    ropeFactors: async () => undefined,
    close: () => file.close(),
  };
}

/** How to read a quantised matrix; undefined for a plain weight. */
async function openMatrix(file: RawTensorReader, c: LlamaConfig, role: WeightRole, name: string) {
  if (expectedShape(c, role).length === 2) {
    const type = fourBitType(file, name);
    if (type) return openFourBit(file, c, role, name, type);
    if (isEightBit(file, name)) return openEightBit(file, c, role, name);
  }
  checkPlainTensor(file, c, role, name);
  return undefined;
}
