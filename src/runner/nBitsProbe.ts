// Asks the machine whether its kernels for 4- and 8-bit weights are right. On x86-64 with AVX2 but without AVX-512 the one
// for a single row with 4-bit zero points was not (microsoft/onnxruntime#29853: off by half, without a word).
import { type Runtime, view } from '../engine/index.ts';
import { input, nBitsLinear, program } from '../graph/index.ts';
import { type NBitsCodes, nBitsBlock, nBitsShape, nBitsWidth, packNBits } from '../quant/index.ts';
import { nBitsInput } from './decodeBody.ts';

/** For how many rows at a time products come out right. */
export interface NBitsHealth {
  one: boolean;
  several: boolean;
}

/** Odd numbers of blocks and of columns; the last block is not a whole one. */
const width = 256;
const out = 22;
/** Rounding inputs to 8 bits costs about a hundredth. */
const allowed = 0.05;

/** Spread evenly enough, the same everywhere. */
const noise = (i: number) => ((i * 0.618034) % 1) - 0.3;

/** Every other row has the largest codes nearly everywhere: sums that are too large for 16 bits show. */
const weight = Float32Array.from({ length: out * width }, (_, i) =>
  Math.floor(i / width) % 2 ? noise(i) : i % nBitsBlock === 5 ? -0.05 : 1,
);
const rows = [0, 1, 2].map((r) => Float32Array.from({ length: width }, (_, i) => (r === 1 ? 1 : noise(7 * i + r))));

/** What the codes stand for times one row and the means of its blocks. */
function exactProduct(bits: 4 | 8, { codes, scales, zeroPoints }: NBitsCodes, x: Float32Array): number[] {
  const shape = nBitsShape(bits, out, width);
  const [, blocks, bytes] = shape.codes as [number, number, number];
  const points = shape.zeroPoints[1]!;
  const field = (data: Uint8Array, start: number, i: number) =>
    bits === 8 ? data[start + i]! : (data[start + (i >> 1)]! >> (4 * (i & 1))) & 15;
  const mean = (block: number) =>
    x.subarray(block * nBitsBlock, (block + 1) * nBitsBlock).reduce((a, b) => a + b, 0) / nBitsBlock;
  return Array.from({ length: out }, (_, o) => {
    let sum = 0;
    for (let i = 0; i < nBitsWidth(width); i++) {
      const block = Math.floor(i / nBitsBlock);
      const code = field(codes, o * blocks * bytes, i) - field(zeroPoints, o * points, block);
      sum += code * scales[o * blocks + block]! * (i < width ? x[i]! : mean(i - width));
    }
    return sum;
  });
}

/** All sums here are of many numbers of one sign and some of the other: none comes near to 0. What is not a number is not near. */
const near = (made: Float32Array, exact: readonly number[]): boolean =>
  exact.every((y, i) => Math.abs(made[i]! - y) <= allowed * Math.abs(y));

/** Takes a few milliseconds. */
export async function probeNBits(runtime: Runtime, bits: 4 | 8): Promise<NBitsHealth> {
  const packed = packNBits(bits, weight, out, width);
  const x = input('x', [1, 'rows', width]);
  const y = nBitsLinear(
    x,
    nBitsInput({ bits, out, in: width }, 'm', () => true),
  );
  const data = { 'm.codes': packed.codes, 'm.scales': packed.scales, 'm.zeroPoints': packed.zeroPoints };
  const probe = await runtime.compile(program(`nBitsProbe${bits}`, { y }), { data });
  const buffers = [runtime.alloc('float32', rows.length * width), runtime.alloc('float32', rows.length * out)] as const;
  const isRight = async (given: readonly Float32Array[]) => {
    const [n, ys] = [given.length, view(buffers[1], [1, given.length, out])];
    for (const [i, row] of given.entries()) runtime.write(buffers[0], row, i * width);
    runtime.run(probe, { x: view(buffers[0], [1, n, width]) }, { y: ys });
    const made = (await runtime.read(ys)) as Float32Array;
    return given.every((row, i) => near(made.subarray(i * out, (i + 1) * out), exactProduct(bits, packed, row)));
  };
  const health = {
    one: (await isRight([rows[0]!])) && (await isRight([rows[1]!])),
    several: (await isRight(rows)) && (await isRight(rows.slice(1))),
  };
  for (const b of buffers) runtime.free(b);
  runtime.release(probe);
  return health;
}
