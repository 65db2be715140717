// 3,000 damaged copies for each parser, the same ones every time: only expected errors may come out, and soon.
import { expect, it } from 'vitest';
import { createRng, HuacayaError, memorySource } from '../../../src/base/index.ts';
import {
  encodeSafetensors,
  openGguf,
  openSafetensors,
  readZipDirectory,
  type TensorFile,
} from '../../../src/formats/index.ts';
import { buildGguf } from './ggufBuilder.ts';
import { damage, fixture } from './helpers.ts';

async function readAll(file: TensorFile): Promise<void> {
  for (const name of file.tensors.keys()) await file.readFloat32(name);
}

const safetensors = encodeSafetensors(
  [
    { name: 'a.weight', dtype: 'F32', shape: [2, 3], data: new Float32Array(6) },
    { name: 'b.weight', dtype: 'F16', shape: [3], data: new Uint16Array(3) },
    { name: 'c', dtype: 'I64', shape: [], data: new BigInt64Array(1) },
  ],
  { format: 'pt' },
);

const gguf = buildGguf({
  keys: [
    ['general.architecture', (b) => b.u32(8).string('llama')],
    ['general.alignment', (b) => b.u32(4).u32(32)],
    ['tokens', (b) => b.u32(9).u32(8).u64(2).string('a').string('b')],
    ['ids', (b) => b.u32(9).u32(4).u64(2).u32(1).u32(2)],
    ['nested', (b) => b.u32(9).u32(9).u64(1).u32(0).u64(1).u8(1)],
  ],
  tensors: [
    { name: 'a', dims: [32, 2], type: 3, offset: 0 },
    { name: 'b', dims: [4], type: 0, offset: 64 },
    { name: 'c', dims: [256], type: 14, offset: 96 },
  ],
  data: new Uint8Array(96 + 210),
});

it.each<[string, Uint8Array, number, (bytes: Uint8Array) => Promise<void>]>([
  ['safetensors', safetensors, 240, async (b) => readAll(await openSafetensors(memorySource('x', b)))],
  ['gguf', gguf, 360, async (b) => readAll(await openGguf(memorySource('x', b)))],
  [
    'gguf of every type',
    fixture('gguf/allTypes.gguf'),
    1400,
    async (b) => readAll(await openGguf(memorySource('x', b))),
  ],
  ['zip', fixture('zip/streamed.zip'), 420, async (b) => void (await readZipDirectory(memorySource('x', b)))],
  ['torch zip', fixture('zip/torch.pt'), 1563, async (b) => void (await readZipDirectory(memorySource('x', b)))],
])('%s survives 3,000 damages', async (name, bytes, focus, work) => {
  await work(bytes);
  const rng = createRng(20240607).fork(name);
  let refused = 0;
  for (let i = 0; i < 3000; i++) {
    try {
      await work(damage(bytes, rng, focus));
    } catch (error) {
      if (!(error instanceof HuacayaError)) throw error;
      refused++;
    }
  }
  // Most damage is noticed; some hits values that may be anything.
  expect(refused).toBeGreaterThan(1000);
  expect(refused).toBeLessThan(3000);
});
