// Writes ONNX models (onnx.proto3, IR version 10) with the protobuf wire writer: only the messages that we emit.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

export type OnnxDType = 'float32' | 'float16' | 'uint8' | 'int8' | 'int32' | 'int64';
export const onnxDType: Record<OnnxDType, number> = { float32: 1, float16: 10, uint8: 2, int8: 3, int32: 6, int64: 7 };

export type OnnxAttribute = { int: number } | { float: number } | { ints: readonly number[] } | { string: string };

export interface OnnxNode {
  op: string;
  domain?: string;
  /** '' stands for an absent optional input. */
  inputs: readonly string[];
  outputs: readonly string[];
  attrs?: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxValueInfo {
  name: string;
  dtype: OnnxDType;
  /** A string is a symbolic size. */
  shape: readonly (number | string)[];
}

/** Bytes in a file that the model does not carry itself. */
export interface ExternalPart {
  /** Name of the file, in a folder that whoever loads the model knows. */
  file: string;
  offset: number;
  /** In bytes. */
  length: number;
}

export type OnnxTensor = {
  name: string;
  dtype: OnnxDType;
  dims: readonly number[];
} & ({ data: Uint8Array } | { external: ExternalPart });

export interface OnnxModel {
  name: string;
  nodes: readonly OnnxNode[];
  inputs: readonly OnnxValueInfo[];
  outputs: readonly OnnxValueInfo[];
  initializers: readonly OnnxTensor[];
}

const field = (w: BinaryWriter, no: number) => w.tag(no, WireType.LengthDelimited);
const text = (w: BinaryWriter, no: number, s: string) => field(w, no).string(s);
const integer = (w: BinaryWriter, no: number, n: number) => w.tag(no, WireType.Varint).int64(n);

function message(w: BinaryWriter, no: number, write: (w: BinaryWriter) => void): void {
  field(w, no).fork();
  write(w);
  w.join();
}

function writeAttribute(w: BinaryWriter, name: string, a: OnnxAttribute): void {
  text(w, 1, name);
  if ('float' in a) {
    w.tag(2, WireType.Bit32).float(a.float);
    integer(w, 20, 1);
  } else if ('int' in a) {
    integer(w, 3, a.int);
    integer(w, 20, 2);
  } else if ('string' in a) {
    text(w, 4, a.string);
    integer(w, 20, 3);
  } else {
    for (const i of a.ints) integer(w, 8, i);
    integer(w, 20, 7);
  }
}

function writeNode(w: BinaryWriter, n: OnnxNode, index: number): void {
  for (const i of n.inputs) text(w, 1, i);
  for (const o of n.outputs) text(w, 2, o);
  text(w, 3, `n${index}`);
  text(w, 4, n.op);
  for (const [name, a] of Object.entries(n.attrs ?? {})) message(w, 5, (m) => writeAttribute(m, name, a));
  if (n.domain) text(w, 7, n.domain);
}

function writeTensor(w: BinaryWriter, t: OnnxTensor): void {
  for (const d of t.dims) integer(w, 1, d);
  integer(w, 2, onnxDType[t.dtype]);
  text(w, 8, t.name);
  if ('data' in t) {
    field(w, 9).bytes(t.data);
    return;
  }
  const { file, offset, length } = t.external;
  for (const [key, value] of Object.entries({ location: file, offset, length })) {
    message(w, 13, (entry) => {
      text(entry, 1, key);
      text(entry, 2, String(value));
    });
  }
  integer(w, 14, 1); // data_location: EXTERNAL
}

function writeValueInfo(w: BinaryWriter, v: OnnxValueInfo): void {
  text(w, 1, v.name);
  message(w, 2, (type) =>
    message(type, 1, (tensor) => {
      integer(tensor, 1, onnxDType[v.dtype]);
      message(tensor, 2, (shape) => {
        for (const d of v.shape) {
          message(shape, 1, (dim) => (typeof d === 'number' ? integer(dim, 1, d) : text(dim, 2, d)));
        }
      });
    }),
  );
}

/** A whole model as bytes. Opset 21 plus com.microsoft 1. */
export function encodeOnnx(model: OnnxModel): Uint8Array {
  const w = new BinaryWriter();
  integer(w, 1, 10);
  text(w, 2, 'huacaya');
  message(w, 7, (graph) => {
    model.nodes.forEach((n, i) => {
      message(graph, 1, (m) => writeNode(m, n, i));
    });
    text(graph, 2, model.name);
    for (const t of model.initializers) message(graph, 5, (m) => writeTensor(m, t));
    for (const v of model.inputs) message(graph, 11, (m) => writeValueInfo(m, v));
    for (const v of model.outputs) message(graph, 12, (m) => writeValueInfo(m, v));
  });
  for (const [domain, version] of [['', 21] as const, ['com.microsoft', 1] as const]) {
    message(w, 8, (m) => {
      if (domain) text(m, 1, domain);
      integer(m, 2, version);
    });
  }
  return w.finish();
}
