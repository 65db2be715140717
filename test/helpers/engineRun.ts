// Runs a program on a real engine with plain tensors in and out.
import { floatToHalf, halfToFloat } from '../../src/base/index.ts';
import type { CompiledProgram, DeviceBuffer, HostArray, Runtime, View } from '../../src/engine/index.ts';
import { view } from '../../src/engine/index.ts';
import { type DType, inputName, type Program } from '../../src/graph/index.ts';
import type { Feeds } from './referenceEvaluator.ts';
import { size, type Tensor } from './tensor.ts';

export function hostArray(dtype: DType, data: readonly number[]): HostArray {
  switch (dtype) {
    case 'float32':
      return Float32Array.from(data);
    case 'float16':
      return Uint16Array.from(data, floatToHalf);
    case 'int64':
      return BigInt64Array.from(data.map(BigInt));
    case 'int32':
      return Int32Array.from(data);
    case 'int8':
      return Int8Array.from(data);
    case 'uint8':
      return Uint8Array.from(data);
  }
}

/** The outputs of `program`, whose shapes the caller knows (`like`: a tensor of that shape an output). */
export async function runOnEngine(
  runtime: Runtime,
  compiled: CompiledProgram,
  program: Program,
  feeds: Feeds,
  like: Readonly<Record<string, Tensor>>,
): Promise<Record<string, Tensor>> {
  const buffers: DeviceBuffer[] = [];
  const keep = (buffer: DeviceBuffer) => {
    buffers.push(buffer);
    return buffer;
  };
  const fed = program.inputs.map((v): [string, View] => {
    const tensor = feeds[inputName(v)]!;
    return [inputName(v), view(keep(runtime.upload(hostArray(v.dtype, tensor.data))), tensor.shape)];
  });
  const fetched = Object.entries(program.outputs).map(([name, v]): [string, View] => {
    const { shape } = like[name]!;
    return [name, view(keep(runtime.alloc(v.dtype, size(shape))), shape)];
  });
  runtime.run(compiled, Object.fromEntries(fed), Object.fromEntries(fetched));
  const results = await Promise.all(
    fetched.map(async ([name, v]) => {
      const raw = Array.from((await runtime.read(v)) as ArrayLike<number | bigint>, Number);
      const data = v.buffer.dtype === 'float16' ? raw.map(halfToFloat) : raw;
      return [name, { shape: v.shape, data }] as const;
    }),
  );
  for (const b of buffers) runtime.free(b);
  return Object.fromEntries(results);
}
