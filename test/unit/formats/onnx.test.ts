// What lands in an ONNX file, read with nothing but the wire format and the field numbers of onnx.proto3.
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from 'vitest';
import { encodeOnnx, type OnnxModel, type OnnxTensor } from '../../../src/formats/index.ts';

type Fields = Record<number, (Uint8Array | number)[]>;

/** A message's fields by number: bytes and numbers as they lie there. */
function fields(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const found: Fields = {};
  while (reader.pos < reader.len) {
    const [no, type] = reader.tag();
    found[no] ??= [];
    if (type === WireType.Varint) found[no].push(Number(reader.int64()));
    else if (type === WireType.Bit32) found[no].push(reader.float());
    else found[no].push(reader.bytes());
  }
  return found;
}

const text = (value: unknown) => new TextDecoder().decode(value as Uint8Array);
const inside = (parent: Fields, no: number) => (parent[no] ?? []).map((bytes) => fields(bytes as Uint8Array));
const graphOf = (model: Partial<OnnxModel>) => {
  const whole = { name: 'g', nodes: [], inputs: [], outputs: [], initializers: [], ...model };
  return inside(fields(encodeOnnx(whole)), 7)[0]!;
};
const tensorFields = (tensor: OnnxTensor) => inside(graphOf({ initializers: [tensor] }), 5)[0]!;
/** The key and value pairs of TensorProto.external_data. */
const places = (tensor: Fields) =>
  Object.fromEntries(inside(tensor, 13).map((entry) => [text(entry[1]![0]), text(entry[2]![0])]));

describe('a tensor', () => {
  it('carries its bytes', () => {
    const data = Uint8Array.of(0, 0, 128, 63, 0, 0, 0, 64);
    const t = tensorFields({ name: 'w', dtype: 'float32', dims: [2, 1], data });
    expect({ dims: t[1], type: t[2], name: text(t[8]![0]), raw: t[9] }).toEqual({
      dims: [2, 1],
      type: [1],
      name: 'w',
      raw: [data],
    });
    expect([t[13], t[14]]).toEqual([undefined, undefined]);
  });

  it('tells where in a file they are', () => {
    const external = { file: 'weights.bin', offset: 4096, length: 48 };
    const t = tensorFields({ name: 'codes', dtype: 'uint8', dims: [3, 16], external });
    expect({ dims: t[1], type: t[2], name: text(t[8]![0]) }).toEqual({ dims: [3, 16], type: [2], name: 'codes' });
    expect(places(t)).toEqual({ location: 'weights.bin', offset: '4096', length: '48' });
    expect({ raw: t[9], location: t[14] }).toEqual({ raw: undefined, location: [1] }); // EXTERNAL
  });

  it('may begin with its file, and far behind 4 GB', () => {
    const at = (offset: number, length: number) =>
      places(tensorFields({ name: 'w', dtype: 'float32', dims: [1], external: { file: 'poids é', offset, length } }));
    expect(at(0, 4)).toEqual({ location: 'poids é', offset: '0', length: '4' });
    expect(at(2 ** 40, 2 ** 36)).toEqual({ location: 'poids é', offset: '1099511627776', length: '68719476736' });
  });

  it('of every type has the number of onnx.proto3', () => {
    const numbers = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, float16: 10 } as const;
    for (const [dtype, number] of Object.entries(numbers)) {
      const external = { file: 'f', offset: 0, length: 0 };
      const t = tensorFields({ name: 'w', dtype: dtype as keyof typeof numbers, dims: [0], external });
      expect([dtype, t[2]]).toEqual([dtype, [number]]);
    }
  });
});

describe('a model', () => {
  it('has the versions that its operators need', () => {
    const model = fields(encodeOnnx({ name: 'g', nodes: [], inputs: [], outputs: [], initializers: [] }));
    const opsets = inside(model, 8).map((o) => [o[1] ? text(o[1][0]) : '', o[2]![0]]);
    expect({ ir: model[1], opsets }).toEqual({
      ir: [10],
      opsets: [
        ['', 21],
        ['com.microsoft', 1],
      ],
    });
  });

  it('holds nodes, absent inputs and attributes of every kind', () => {
    const attrs = { axis: { int: -1 }, epsilon: { float: 0.5 }, perm: { ints: [1, 0] }, mode: { string: 'add' } };
    const node = { op: 'Odd', domain: 'com.microsoft', inputs: ['a', '', 'b'], outputs: ['y'], attrs };
    const [n] = inside(graphOf({ nodes: [node] }), 1);
    expect([n![1]!.map(text), n![2]!.map(text), text(n![4]![0]), text(n![7]![0])]).toEqual([
      ['a', '', 'b'],
      ['y'],
      'Odd',
      'com.microsoft',
    ]);
    const byName = Object.fromEntries(inside(n!, 5).map((a) => [text(a[1]![0]), a]));
    // Field 20 is the attribute's type: FLOAT 1, INT 2, STRING 3, INTS 7.
    expect([byName.axis![3], byName.axis![20]]).toEqual([[-1], [2]]);
    expect([byName.epsilon![2], byName.epsilon![20]]).toEqual([[0.5], [1]]);
    expect([byName.perm![8], byName.perm![20]]).toEqual([[1, 0], [7]]);
    expect([text(byName.mode![4]![0]), byName.mode![20]]).toEqual(['add', [3]]);
  });

  it('names its inputs with sizes and symbols', () => {
    const [v] = inside(graphOf({ inputs: [{ name: 'x', dtype: 'int32', shape: ['n', 4] }] }), 11);
    const tensor = inside(inside(v!, 2)[0]!, 1)[0]!;
    const dims = inside(inside(tensor, 2)[0]!, 1).map((d) => (d[2] ? text(d[2][0]) : d[1]![0]));
    expect([text(v![1]![0]), tensor[1], dims]).toEqual(['x', [6], ['n', 4]]);
  });
});
