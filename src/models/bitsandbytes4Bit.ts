// A 4-bit matrix of bitsandbytes: codes in X.weight, and beside it X.weight.absmax (scales of blocks over the flattened
// matrix), X.weight.quant_map, X.weight.quant_state.bitsandbytes__nf4 and, where the scales are quantised too,
// X.weight.nested_absmax and X.weight.nested_quant_map.
import {
  badQuantisation,
  dequantise4Bit,
  dequantiseScales,
  type FourBitType,
  fourBitLevels,
  maxQuantState,
  nf4Block,
  parseQuantState,
  type QuantState,
} from '../formats/index.ts';
import {
  checkPart,
  pieceElements,
  type QuantisedMatrix,
  type RawTensorReader,
  readFloats,
} from './bitsandbytesParts.ts';
import type { LlamaConfig } from './config.ts';
import { checkShape, expectedShape, type TensorReader, type WeightRole } from './weights.ts';

const stateName = (weight: string, type: FourBitType) => `${weight}.quant_state.bitsandbytes__${type}`;

/** Undefined for a weight that is not 4-bit. */
export function fourBitType(file: TensorReader, weight: string): FourBitType | undefined {
  return (Object.keys(fourBitLevels) as FourBitType[]).find((type) => file.tensors.has(stateName(weight, type)));
}

/** @throws HuacayaError MISSING_TENSOR, WRONG_SHAPE, BAD_QUANTISATION. */
export async function openFourBit(
  file: RawTensorReader,
  c: LlamaConfig,
  role: WeightRole,
  name: string,
  type: FourBitType,
): Promise<QuantisedMatrix> {
  const state = await readState(file, name, type);
  checkShape(file, c, role, name, state.shape);
  const [rows, width] = expectedShape(c, role) as [number, number];
  const elements = rows * width;
  const blocks = Math.ceil(elements / state.blockSize);
  checkPart(file, `${name}.quant_map`, 'F32', 16);
  if (!file.tensors.has(name)) checkPart(file, name, 'U8', Math.ceil(elements / 2));
  // The codes may be stored under another type (`bnb_4bit_quant_storage`): only their bytes matter.
  if (file.byteLength(name) !== Math.ceil(elements / 2)) {
    throw badQuantisation(
      file.name,
      `${name} has ${file.byteLength(name)} bytes, ${elements} codes of 4 bits take ${Math.ceil(elements / 2)}`,
    );
  }
  const { nested } = state;
  checkPart(file, `${name}.absmax`, nested ? 'U8' : 'F32', blocks);
  if (nested) {
    checkPart(file, `${name}.nested_absmax`, 'F32', Math.ceil(blocks / nested.blockSize));
    checkPart(file, `${name}.nested_quant_map`, 'F32', 256);
  }
  const levels = fourBitLevels[type];
  const map = await readFloats(file, `${name}.quant_map`, 0, 16);
  const different = map.findIndex((value, code) => !(Math.abs(value - levels[code]!) < 1e-4));
  if (different >= 0) {
    throw badQuantisation(
      file.name,
      `${name}.quant_map gives code ${different} the value ${map[different]}, ${type} has ${levels[different]}`,
    );
  }
  const read = async (first: number, last: number) => {
    const out = new Float32Array((last - first) * width);
    const start = first * width;
    const end = last * width;
    const scales = {
      values: await readScales(
        file,
        name,
        nested,
        Math.floor(start / state.blockSize),
        Math.ceil(end / state.blockSize),
      ),
      first: Math.floor(start / state.blockSize),
      blockSize: state.blockSize,
    };
    for (let at = start; at < end; ) {
      const stop = Math.min(end, at - (at % 2) + pieceElements);
      const codes = await file.readBytes(name, Math.floor(at / 2), Math.ceil(stop / 2));
      dequantise4Bit(codes, levels, scales, at, out.subarray(at - start, stop - start));
      at = stop;
    }
    return out;
  };
  if (type !== 'nf4' || state.blockSize !== nf4Block) return { read };
  const readNf4 = async () => ({
    // A copy: the bytes may be a view of memory that others read too.
    codes: new Uint8Array(await file.readBytes(name)),
    scales: await readScales(file, name, nested, 0, blocks),
  });
  return { read, readNf4 };
}

async function readState(file: RawTensorReader, name: string, type: FourBitType): Promise<QuantState> {
  const stateTensor = stateName(name, type);
  const { dtype, shape } = file.tensors.get(stateTensor)!;
  if (dtype !== 'U8' || file.byteLength(stateTensor) > maxQuantState) {
    throw badQuantisation(
      file.name,
      `${stateTensor} is ${dtype} [${shape.join(', ')}], expected at most ${maxQuantState} bytes of text`,
    );
  }
  const state = parseQuantState(file.name, stateTensor, await file.readBytes(stateTensor));
  if (state.type !== type) {
    throw badQuantisation(file.name, `${stateTensor} has the quant_type ${state.type}`);
  }
  return state;
}

/** Scales of blocks [first, last) in float32. */
async function readScales(
  file: RawTensorReader,
  name: string,
  nested: QuantState['nested'],
  first: number,
  last: number,
): Promise<Float32Array<ArrayBuffer>> {
  if (!nested) return readFloats(file, `${name}.absmax`, first, last);
  return dequantiseScales(
    await file.readBytes(`${name}.absmax`, first, last),
    {
      map: await file.readFloat32(`${name}.nested_quant_map`),
      scales: await file.readFloat32(`${name}.nested_absmax`),
      ...nested,
    },
    first,
  );
}
