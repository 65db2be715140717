// PyTorch checkpoints that torch wrote (test/fixtures/torch/make.py), read to the values that torch reads.
import { describe, expect, it } from 'vitest';
import { createRng, memorySource } from '../../../src/base/index.ts';
import { openTorchFile } from '../../../src/formats/torchFile.ts';
import { axesOf, gather, isContiguous } from '../../../src/formats/torchStrided.ts';
import { expectError, expectSameFloats, fixture, spySource } from './helpers.ts';

interface Expected {
  tensors: Record<string, { dtype: string; shape: number[]; values: number[] }>;
}

const expected: Record<string, Expected> = JSON.parse(new TextDecoder().decode(fixture('torch/expected.json')));

const dtypes: Record<string, string> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  uint16: 'U16',
  uint32: 'U32',
  bool: 'BOOL',
};

const open = (name: string) => openTorchFile(memorySource(name, fixture(`torch/${name}`)));

describe('files written by torch', () => {
  it.each(Object.keys(expected))('%s', async (name) => {
    const file = await open(name);
    const { tensors } = expected[name]!;
    expect([...file.tensors.keys()]).toEqual(Object.keys(tensors));
    for (const [tensor, { dtype, shape, values }] of Object.entries(tensors)) {
      expect(file.tensors.get(tensor)).toEqual({ name: tensor, dtype: dtypes[dtype], shape });
      expectSameFloats(await file.readFloat32(tensor), Float32Array.from(values));
    }
    expect(file.layout).toBe(/legacy/.test(name) ? 'legacy' : 'zip');
  });

  it.each(['strided.pt', 'strided-legacy.pt', 'types.pt'])('%s by rows', async (name) => {
    const file = await open(name);
    for (const [tensor, { shape, values }] of Object.entries(expected[name]!.tensors)) {
      if (shape.length < 2) continue;
      const rowLength = values.length / shape[0]! || 0;
      for (let start = 0; start <= shape[0]!; start++) {
        for (let end = start; end <= shape[0]!; end++) {
          const wanted = Float32Array.from(values.slice(start * rowLength, end * rowLength));
          expectSameFloats(await file.readFloat32(tensor, start, end), wanted);
        }
      }
      const beyond = () => file.readFloat32(tensor, 0, shape[0]! + 1);
      await expectError(beyond, 'ROW_RANGE', /row\(s\); asked for rows 0 to/);
      await expectError(() => file.readFloat32(tensor, 0.5), 'ROW_RANGE', /asked for rows 0.5/);
    }
  });

  it('hands out bytes row by row, of strided tensors too', async () => {
    const file = await open('strided.pt');
    for (const [tensor, { values }] of Object.entries(expected['strided.pt']!.tensors)) {
      const bytes = await file.readBytes(tensor);
      expect(bytes.length).toBe(file.byteLength(tensor));
      if (file.tensors.get(tensor)!.dtype !== 'F32') continue;
      expectSameFloats(new Float32Array(bytes.slice().buffer), Float32Array.from(values));
      expect(await file.readBytes(tensor, 1, 3)).toEqual(bytes.slice(1, 3));
    }
    await expectError(() => file.readBytes('transposed', 0, 193), 'BYTE_RANGE', /192 bytes; asked for bytes 0 to 193/);
    expect((await file.readBytes('transposed', 5, 5)).length).toBe(0);
  });

  it('finds the model in what a trainer wrote, and lists the rest', async () => {
    const file = await open('trainer.pt');
    expect(file.nestedIn).toBe('state_dict');
    expect(Object.fromEntries(file.metadata)).toEqual({
      epoch: 3,
      best: 0.25,
      name: 'llama',
      done: true,
      none: null,
      big: 2n ** 70n,
      raw: { kind: 'bytes' },
      steps: { kind: 'list', size: 3 },
      pair: { kind: 'tuple', size: 2 },
      optimizer: { kind: 'dict', size: 2 },
      step: 7,
    });
    expect((await open('types.pt')).nestedIn).toBeUndefined();
  });

  it('reads the description only, then the rows that are asked for', async () => {
    const { source, spy } = spySource(fixture('torch/types.pt'));
    const file = await openTorchFile(source);
    spy.bytesRead = 0;
    await file.readFloat32('f32', 1, 2);
    expect(spy.bytesRead).toBe(16);
    await file.close();
    expect(spy.closed).toBe(1);
  });

  it('names the nearest tensor, and closes a file that it cannot open', async () => {
    const file = await open('types.pt');
    await expectError(
      () => file.readFloat32('f23'),
      'TENSOR_NOT_FOUND',
      /no tensor "f23" among 12; nearest names: .*"f32"/,
    );
    await expectError(() => file.readBytes('nothing'), 'TENSOR_NOT_FOUND', /no tensor "nothing"/);
    const { source, spy } = spySource(new Uint8Array(100));
    await expectError(() => openTorchFile(source), 'BAD_TORCH_FILE', /neither a zip archive nor a pickle/);
    expect(spy.closed).toBe(1);
  });

  it.each(['types.pt', 'types-legacy.pt', 'zip64.pt'])('%s cut short anywhere is refused', async (name) => {
    const bytes = fixture(`torch/${name}`);
    for (let length = 0; length < bytes.length; length += 37) {
      await expectError(
        () => openTorchFile(memorySource(name, bytes.subarray(0, length))),
        expect.stringMatching(/TRUNCATED|BAD_ZIP|BAD_TORCH_FILE/) as unknown as string,
        /./,
      );
    }
  });
});

describe('gathering', () => {
  it('is right for any strides, and splits what is far apart', async () => {
    const rng = createRng(5);
    const storage = Float32Array.from({ length: 40_000 }, (_, i) => i);
    let loaded = 0;
    const load = async (start: number, count: number) => {
      loaded += count;
      return storage.subarray(start, start + count);
    };
    for (let round = 0; round < 100; round++) {
      const shape = Array.from({ length: 1 + rng.below(4) }, () => 1 + rng.below(6));
      const strides = shape.map(() => rng.below(round % 2 ? 9 : 2000));
      const start = rng.below(9);
      const axes = axesOf(shape, strides);
      const out = new Float32Array(shape.reduce((product, size) => product * size, 1));
      await gather(load, axes, start, out);
      const wanted = out.map((_, i) => {
        let rest = i;
        let at = start;
        for (let d = shape.length; d-- > 0; rest = Math.floor(rest / shape[d]!)) at += (rest % shape[d]!) * strides[d]!;
        return storage[at]!;
      });
      expectSameFloats(out, wanted);
    }
    loaded = 0;
    await gather(load, axesOf([4, 2], [9000, 1]), 0, new Float32Array(8));
    expect(loaded).toBeLessThan(30_000);
    // Larger than a piece: each element of a transposed matrix is still read once.
    const [rows, columns] = [1500, 1100];
    const big = Float32Array.from({ length: rows * columns }, (_, i) => i);
    loaded = 0;
    const out = new Float32Array(big.length);
    const loadBig = async (start: number, count: number) => {
      loaded += count;
      return big.subarray(start, start + count);
    };
    await gather(loadBig, axesOf([columns, rows], [1, columns]), 0, out);
    expect(out.findIndex((value, i) => value !== (i % rows) * columns + Math.floor(i / rows))).toBe(-1);
    expect(loaded).toBeLessThan(big.length * 1.01);
  });

  it('knows what lies row by row', () => {
    expect(isContiguous(axesOf([2, 3], [3, 1]))).toBe(true);
    expect(isContiguous(axesOf([1, 3], [77, 1]))).toBe(true);
    expect(isContiguous(axesOf([0, 3], [1, 1]))).toBe(true);
    expect(isContiguous(axesOf([], []))).toBe(true);
    expect(isContiguous(axesOf([2, 3], [1, 2]))).toBe(false);
    expect(isContiguous(axesOf([2, 2], [3, 1]))).toBe(false);
  });
});
