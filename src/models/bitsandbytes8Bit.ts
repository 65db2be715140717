// An 8-bit matrix of bitsandbytes (LLM.int8()): signed bytes in X.weight, the largest magnitude of each row in X.SCB.
import { badQuantisation, dequantise8Bit } from '../formats/index.ts';
import {
  checkPart,
  pieceElements,
  type QuantisedMatrix,
  type RawTensorReader,
  readFloats,
} from './bitsandbytesParts.ts';
import type { LlamaConfig } from './config.ts';
import { checkShape, expectedShape, type TensorReader, type WeightRole } from './weights.ts';

const besideModule = (weight: string, what: string) => weight.replace(/weight$/, what);

export const isEightBit = (file: TensorReader, weight: string) => file.tensors.has(besideModule(weight, 'SCB'));

/** @throws HuacayaError MISSING_TENSOR, WRONG_SHAPE, BAD_QUANTISATION. */
export async function openEightBit(
  file: RawTensorReader,
  c: LlamaConfig,
  role: WeightRole,
  name: string,
): Promise<QuantisedMatrix> {
  const [rows, width] = expectedShape(c, role) as [number, number];
  const scale = besideModule(name, 'SCB');
  checkPart(file, name, 'I8', rows * width);
  checkShape(file, c, role, name, file.tensors.get(name)!.shape);
  checkPart(file, scale, 'F32', rows);
  const format = besideModule(name, 'weight_format');
  if (file.tensors.has(format)) {
    checkPart(file, format, 'U8', 1);
    const [layout] = await file.readBytes(format);
    // The others are orders of the matrix for tensor cores of one generation; no release writes them any more.
    if (layout !== 0) throw badQuantisation(file.name, `${format} is ${layout}, only 0 (rows in order) can be read`);
  }
  const read = async (first: number, last: number) => {
    const out = new Float32Array((last - first) * width);
    const largest = await readFloats(file, scale, first, last);
    const rowsAtOnce = Math.max(1, Math.floor(pieceElements / width));
    for (let row = first; row < last; ) {
      const stop = Math.min(last, row + rowsAtOnce);
      const bytes = await file.readBytes(name, row * width, stop * width);
      dequantise8Bit(
        new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length),
        largest.subarray(row - first, stop - first),
        out.subarray((row - first) * width, (stop - first) * width),
      );
      row = stop;
    }
    return out;
  };
  return { read };
}
