// Processors without 8-bit dot products (x86-64 before VNNI) add pairs of products in 16 bits and cut what does not fit:
// int8 would then be wrong without a word. So it is asked once, with the largest operands there are.
import { HuacayaError } from '../base/index.ts';
import { type Runtime, view } from '../engine/index.ts';
import { input, int8Linear, program } from '../graph/index.ts';

const width = 64;
const columns = 16;

/** Whether the largest sums of 8-bit products come out whole on this machine. */
export async function int8IsExact(runtime: Runtime): Promise<boolean> {
  const x = input('x', [1, width]);
  const matrix = { w: input('w', [width, columns], 'int8'), scale: input('scale', [columns]) };
  const probe = await runtime.compile(program('int8Probe', { y: int8Linear(x, matrix, { peak: 127 }) }));
  const buffers = [
    runtime.upload(new Float32Array(width).fill(127)),
    runtime.upload(new Int8Array(width * columns).fill(127)),
    runtime.upload(new Float32Array(columns).fill(1)),
    runtime.alloc('float32', columns),
  ] as const;
  const [xs, ws, scales, ys] = buffers;
  const feeds = { x: view(xs, [1, width]), w: view(ws, [width, columns]), scale: view(scales, [columns]) };
  runtime.run(probe, feeds, { y: view(ys, [1, columns]) });
  const made = await runtime.read(view(ys, [columns]));
  for (const b of buffers) runtime.free(b);
  runtime.release(probe);
  const expected = 127 * 127 * width;
  return Array.from(made as Float32Array).every((y) => Math.abs(y - expected) < 1);
}

/** @throws HuacayaError INT8_UNSUPPORTED where sums would be cut. */
export async function requireInt8(runtime: Runtime): Promise<void> {
  if (await int8IsExact(runtime)) return;
  throw new HuacayaError('INT8_UNSUPPORTED', 'this processor cuts sums of 8-bit products, int8 would be wrong here', {
    hint: 'Use --precision fp32.',
  });
}
