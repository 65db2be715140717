// Which tensors of a checkpoint make up the model: those at the top, or those one level down, where trainers put them.
import { badTorch } from './pickleBytes.ts';
import { kindOf, PickleDict, PickleList, PickleTuple, type PickleValue } from './pickleValues.ts';
import { quote } from './quote.ts';
import { TorchTensor } from './torchObjects.ts';

/** A value beside the tensors: itself when it is plain, else what it is and how many it holds. */
export type TorchExtra = null | boolean | number | bigint | string | { kind: string; size?: number };

export interface NamedTensors {
  tensors: Map<string, TorchTensor>;
  extras: Map<string, TorchExtra>;
  nestedIn: string | undefined;
}

/** Where trainers put the model beside their own state, in the order in which they are looked for. */
const usualPlaces = ['state_dict', 'model_state_dict', 'model', 'module'];

/** @throws HuacayaError BAD_TORCH_FILE when the file holds no dict, or several that could be meant. */
export function pickTensors(file: string, root: PickleValue): NamedTensors {
  if (!(root instanceof PickleDict)) {
    const hint = 'Save model.state_dict(), by name, and not the model or a tensor alone.';
    throw badTorch(file, `holds a ${kindOf(root)}, not tensors by name`, hint);
  }
  const top = split(root);
  // One dict may stand under many keys: it is looked through once.
  const known = new Map<PickleValue, boolean>();
  const holdsTensors = (value: PickleValue): boolean => {
    if (!(value instanceof PickleDict)) return false;
    const holds = known.get(value) ?? split(value).tensors.size > 0;
    known.set(value, holds);
    return holds;
  };
  if (top.tensors.size) return { ...top, nestedIn: undefined };
  const nested = [...root.entries].filter(([, value]) => holdsTensors(value));
  const usual = usualPlaces.find((place) => nested.some(([key]) => key === place));
  const [key, dict] = nested.find(([name]) => name === usual) ?? nested[0] ?? [];
  if (usual === undefined && nested.length > 1) {
    const places = nested.map(([name]) => quote(String(name)));
    throw badTorch(file, `holds tensors in ${places.slice(0, 5).join(', ')}; which are the model is not said`);
  }
  // An empty state_dict is a file that its users must be told about, which callers do better.
  if (!(dict instanceof PickleDict)) return { ...top, nestedIn: undefined };
  top.extras.delete(String(key));
  const inner = split(dict);
  return { tensors: inner.tensors, extras: new Map([...top.extras, ...inner.extras]), nestedIn: String(key) };
}

function split(dict: PickleDict) {
  const tensors = new Map<string, TorchTensor>();
  const extras = new Map<string, TorchExtra>();
  for (const [key, value] of dict.entries) {
    if (value instanceof TorchTensor && typeof key === 'string') tensors.set(key, value);
    else extras.set(String(key), describe(value));
  }
  return { tensors, extras };
}

function describe(value: PickleValue): TorchExtra {
  if (typeof value !== 'object' || value === null) return value;
  const kind = kindOf(value);
  if (value instanceof PickleDict) return { kind, size: value.entries.size };
  if (value instanceof PickleList || value instanceof PickleTuple) return { kind, size: value.items.length };
  return value instanceof Uint8Array ? { kind, size: value.length } : { kind };
}
