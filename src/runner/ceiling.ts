// What this machine can do at best: matrix products of a friendly size on the same engine and threads as training.
// Flops are only worth something next to this number.
import { type DeviceBuffer, type ProductKind, type Runtime, type View, view } from '../engine/index.ts';
import { input, int8Linear, matmul, type Program, program } from '../graph/index.ts';

/** [rows, inner, columns]; which of them is best depends on caches and cores. */
const sizes = [
  [1024, 1024, 1024],
  [1024, 1024, 4096],
  [1024, 2048, 2048],
] as const;

/** Seconds for one kind and size. */
const patience = 0.15;
/** One sample is at least this long, so that the message that starts it does not count. */
const sampleSeconds = 0.01;

/** Multiplications and additions a second, by what is multiplied. */
export type Ceiling = Record<ProductKind, number>;

const floats: Program = program('ceiling.float', { y: matmul(input('x', ['m', 'k']), input('w', ['k', 'n'])) });

/** The scale is fixed, so all that is done next to the product is one pass over x, a few percent of the time. */
const bytes = (inner: number, columns: number): Program => {
  const matrix = { w: input('w', [inner, columns], 'int8'), scale: input('scale', [columns]) };
  return program('ceiling.int8', { y: int8Linear(input('x', ['m', inner]), matrix, { peak: 127 }) });
};

/** Anything but zeros, and without a pattern that repeats within a row. */
const filled = <T extends Float32Array | Int8Array>(data: T): T => {
  for (let i = 0; i < data.length; i++) data[i] = ((i * 37) % 101) - 50;
  return data;
};

async function best(runtime: Runtime, run: () => void, flops: number): Promise<number> {
  let most = 0;
  let runs = 1;
  const end = performance.now() + 1000 * patience;
  do {
    const begin = performance.now();
    for (let i = 0; i < runs; i++) run();
    await runtime.sync();
    const seconds = (performance.now() - begin) / 1000;
    most = Math.max(most, (runs * flops) / seconds);
    runs = Math.min(64, Math.max(1, Math.ceil((sampleSeconds * runs) / seconds)));
  } while (performance.now() < end);
  return most;
}

/**
 * Measures for about a second; nothing else may run on the engine meanwhile. Its programs are named `ceiling.*`.
 * @throws HuacayaError ENGINE.
 */
export async function measureCeiling(runtime: Runtime): Promise<Ceiling> {
  const ceiling: Ceiling = { float: 0, int8: 0 };
  for (const [rows, inner, columns] of sizes) {
    const held: DeviceBuffer[] = [];
    const on = (buffer: DeviceBuffer, shape: readonly number[]): View => {
      held.push(buffer);
      return view(buffer, shape);
    };
    const x = on(runtime.upload(filled(new Float32Array(rows * inner))), [rows, inner]);
    const y = on(runtime.alloc('float32', rows * columns), [rows, columns]);
    const scale = on(runtime.upload(new Float32Array(columns).fill(1)), [columns]);
    const weights = {
      float: on(runtime.upload(filled(new Float32Array(inner * columns))), [inner, columns]),
      int8: on(runtime.upload(filled(new Int8Array(inner * columns))), [inner, columns]),
    };
    for (const kind of ['float', 'int8'] as const) {
      const compiled = await runtime.compile(kind === 'float' ? floats : bytes(inner, columns));
      const run = () => runtime.run(compiled, { x, w: weights[kind], scale }, { y });
      run(); // the first run reserves memory
      await runtime.sync();
      ceiling[kind] = Math.max(ceiling[kind], await best(runtime, run, 2 * rows * inner * columns));
      runtime.release(compiled);
    }
    for (const b of held) runtime.free(b);
  }
  return ceiling;
}
