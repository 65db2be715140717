// The whole list of globals that a checkpoint may name: everything else is refused by name, dotted names included.
import { PickleName } from './pickleValues.ts';

export interface TorchType {
  /** As safetensors calls it; what `readFloat32` cannot read is listed all the same. */
  dtype: string;
  /** Of an element. */
  bytes: number;
}

const type = (dtype: string, bytes: number): TorchType => ({ dtype, bytes });

/** Storage classes, which stand for the type of their elements. */
export const storageTypes: ReadonlyMap<string, TorchType> = new Map([
  ['torch.DoubleStorage', type('F64', 8)],
  ['torch.FloatStorage', type('F32', 4)],
  ['torch.HalfStorage', type('F16', 2)],
  ['torch.BFloat16Storage', type('BF16', 2)],
  ['torch.LongStorage', type('I64', 8)],
  ['torch.IntStorage', type('I32', 4)],
  ['torch.ShortStorage', type('I16', 2)],
  ['torch.CharStorage', type('I8', 1)],
  ['torch.ByteStorage', type('U8', 1)],
  ['torch.BoolStorage', type('BOOL', 1)],
  ['torch.ComplexFloatStorage', type('C64', 8)],
  ['torch.ComplexDoubleStorage', type('C128', 16)],
  // Bytes; the tensor that lies over them says its own type.
  ['torch.storage.UntypedStorage', type('U8', 1)],
]);

/** Types that a tensor names for itself (`_rebuild_tensor_v3`). */
export const elementTypes: ReadonlyMap<string, TorchType> = new Map([
  ['torch.float64', type('F64', 8)],
  ['torch.float32', type('F32', 4)],
  ['torch.float16', type('F16', 2)],
  ['torch.bfloat16', type('BF16', 2)],
  ['torch.float8_e4m3fn', type('F8_E4M3', 1)],
  ['torch.float8_e4m3fnuz', type('F8_E4M3FNUZ', 1)],
  ['torch.float8_e5m2', type('F8_E5M2', 1)],
  ['torch.float8_e8m0fnu', type('F8_E8M0', 1)],
  ['torch.int64', type('I64', 8)],
  ['torch.int32', type('I32', 4)],
  ['torch.int16', type('I16', 2)],
  ['torch.int8', type('I8', 1)],
  ['torch.uint64', type('U64', 8)],
  ['torch.uint32', type('U32', 4)],
  ['torch.uint16', type('U16', 2)],
  ['torch.uint8', type('U8', 1)],
  ['torch.bool', type('BOOL', 1)],
  ['torch.complex64', type('C64', 8)],
  ['torch.complex128', type('C128', 16)],
]);

/** What may be "called", by us in `torchCalls.ts`. Module and name, as the pickle must spell them. */
const callables: [module: string, name: string][] = [
  ['collections', 'OrderedDict'],
  // How Python 2 pickles carry bytes.
  ['_codecs', 'encode'],
  ['torch', 'Size'],
  ['torch', 'device'],
  ['torch._utils', '_rebuild_tensor'],
  ['torch._utils', '_rebuild_tensor_v2'],
  ['torch._utils', '_rebuild_tensor_v3'],
  ['torch._utils', '_rebuild_parameter'],
  ['torch._utils', '_rebuild_parameter_with_state'],
  ['torch._tensor', '_rebuild_from_type_v2'],
];

/** Classes that `_rebuild_from_type_v2` is given. */
const classes: [module: string, name: string][] = [
  ['torch', 'Tensor'],
  ['torch.nn.parameter', 'Parameter'],
];

/** Two strings that no name holds between them, so that 'a' + 'b.c' is not 'a.b' + 'c'. */
const keyOf = (module: string, name: string) => `${module}\n${name}`;

function allowed(): Map<string, PickleName> {
  const typed = [...storageTypes.keys(), ...elementTypes.keys()].map((text): [string, string] => {
    const dot = text.lastIndexOf('.');
    return [text.slice(0, dot), text.slice(dot + 1)];
  });
  return new Map(
    [...callables, ...classes, ...typed].map(([module, name]) => [
      keyOf(module, name),
      new PickleName(`${module}.${name}`),
    ]),
  );
}

const names = allowed();

/** The node of an allowed global, the same one each time; undefined for every other. */
export function findTorchName(module: string, name: string): PickleName | undefined {
  return names.get(keyOf(module, name));
}
