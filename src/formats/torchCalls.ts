// The calls of a checkpoint's pickle, done by us on inert values: tensors are described here, nothing is allocated.
// What they mean stands in torch/_utils.py: https://github.com/pytorch/pytorch/blob/main/torch/_utils.py
import { type PickleWorld, setItem } from './pickle.ts';
import { badTorch, type PickleBytes, unsafeTorch } from './pickleBytes.ts';
import { kindOf, PickleDict, PickleList, PickleName, PickleTuple, type PickleValue } from './pickleValues.ts';
import { quote } from './quote.ts';
import { checkedProduct } from './shape.ts';
import { elementTypes, findTorchName, storageTypes, type TorchType } from './torchNames.ts';
import { TorchOther, TorchStorage, TorchTensor } from './torchObjects.ts';

/** torch's own limit. */
const maxDimensions = 64;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** What the names and calls in one checkpoint mean. `storages` collects what is asked for, by key. */
export function torchWorld(bytes: PickleBytes, storages: Map<string, TorchStorage>, legacy: boolean): PickleWorld {
  const bad = (why: string) => badTorch(bytes.file, why);
  const views = new Map<string, string>();

  function storageOf(id: PickleValue): TorchStorage {
    const items = id instanceof PickleTuple ? id.items : [];
    const [tag, storageClass, key, place, elements, view = null] = items;
    if (tag !== 'storage' || items.length < 5 || items.length > (legacy ? 6 : 5)) {
      const what = tag === 'module' ? 'the source code of a class' : `a ${kindOf(id)}`;
      throw unsafeTorch(bytes.file, `asks for ${what} from outside the pickle, not for a storage`);
    }
    const type = storageClass instanceof PickleName ? storageTypes.get(storageClass.text) : undefined;
    if (!type) throw bad(`has a storage of type ${kindOf(storageClass!)}`);
    if (typeof key !== 'string' || !/^\w{1,64}$/.test(key)) throw bad(`has a storage named ${quote(String(key))}`);
    // 'cpu', 'cuda:0': where it was, which is nothing to us.
    if (typeof place !== 'string') throw bad(`has a storage on a ${kindOf(place!)}`);
    if (!isCount(elements) || !isCount(elements * type.bytes)) throw bad(`has a storage of ${kindOf(elements!)} size`);
    const known = storages.get(key);
    if (
      known &&
      (known.elements * known.type.bytes !== elements * type.bytes || (known.type !== type && elements > 0))
    ) {
      throw bad(`describes storage ${quote(key)} in two ways`);
    }
    const whole = known ?? new TorchStorage(key, type, elements);
    storages.set(key, whole);
    return view === null ? (whole.type === type ? whole : new TorchStorage(key, type, elements)) : viewOf(whole, view);
  }

  /** (key, first element, elements) of a part of a storage: torch before 0.4. */
  function viewOf(root: TorchStorage, view: PickleValue): TorchStorage {
    const [key, start, elements] = view instanceof PickleTuple && view.items.length === 3 ? view.items : [];
    if (typeof key !== 'string' || !isCount(start) || !isCount(elements) || start + elements > root.elements) {
      throw bad(`has a view beyond storage ${quote(root.key)}`);
    }
    const meaning = `${root.key} ${start} ${elements}`;
    if ((views.get(key) ?? meaning) !== meaning) throw bad(`describes the view ${quote(key)} in two ways`);
    views.set(key, meaning);
    return new TorchStorage(root.key, root.type, root.elements, { start, elements });
  }

  function tensorOf(args: readonly PickleValue[], type?: TorchType): TorchTensor {
    const [storage, start, size, stride] = args;
    if (!(storage instanceof TorchStorage)) throw bad(`has a tensor over a ${kindOf(storage ?? null)}`);
    const [shape, strides] = [countsOf(size), countsOf(stride)];
    if (!isCount(start) || !shape || !strides || shape.length !== strides.length) {
      throw bad('has a tensor whose place, shape or strides are no whole numbers');
    }
    return placed(storage, type ?? storage.type, shape, strides, start);
  }

  /** All of the tensor must lie in its storage, and it may not be larger: a stride of 0 costs a file nothing. */
  function placed(storage: TorchStorage, type: TorchType, shape: number[], strides: number[], start: number) {
    const elements = checkedProduct(shape);
    const first = (storage.view.start * storage.type.bytes) / type.bytes + start;
    const available = Math.floor((storage.view.elements * storage.type.bytes) / type.bytes);
    const last = shape.reduce((sum, length, i) => sum + Math.max(0, length - 1) * strides[i]!, start);
    const fits = elements !== undefined && Number.isInteger(first) && (elements === 0 || last < available);
    if (!fits || elements > available) {
      throw bad(
        `has a tensor of shape [${shape}], strides [${strides}] at ${start} in a storage of ${available} elements`,
      );
    }
    return new TorchTensor(storage, type, shape, strides, first);
  }

  /** Conjugate and negative bits change what the bytes mean. */
  function checkPlain(metadata: PickleValue | undefined): void {
    const empty =
      metadata === undefined || metadata === null || (metadata instanceof PickleDict && !metadata.entries.size);
    if (!empty) throw bad('has a tensor that is a lazy conjugate or negative of its data');
  }

  function tensorCall(name: string, args: readonly PickleValue[]): TorchTensor {
    const count = (least: number, most = least) => {
      if (args.length < least || args.length > most) throw bad(`calls ${name} with ${args.length} arguments`);
    };
    switch (name) {
      case 'torch._utils._rebuild_tensor':
        count(4);
        return tensorOf(args);
      case 'torch._utils._rebuild_tensor_v2':
        count(6, 7);
        checkPlain(args[6]);
        return tensorOf(args);
      case 'torch._utils._rebuild_tensor_v3': {
        count(7, 8);
        checkPlain(args[7]);
        const type = args[6] instanceof PickleName ? elementTypes.get(args[6].text) : undefined;
        if (!type) throw bad(`has a tensor of type ${kindOf(args[6]!)}`);
        return tensorOf(args, type);
      }
      case 'torch._utils._rebuild_parameter':
        count(3);
        return inner(name, args[0]);
      case 'torch._utils._rebuild_parameter_with_state':
        count(4);
        checkAttributes(args[3]!);
        return inner(name, args[0]);
      default: {
        // _rebuild_from_type_v2(function, class, its arguments, attributes)
        count(4);
        const [callable, type, callArgs, attributes] = args;
        const isClass = type instanceof PickleName && /\.(Tensor|Parameter)$/.test(type.text);
        if (!isClass) throw bad(`has a tensor of class ${kindOf(type!)}`);
        checkAttributes(attributes!);
        const known = callable instanceof PickleName && /\._rebuild_(tensor|parameter)/.test(callable.text);
        if (!known || !(callArgs instanceof PickleTuple))
          throw unsafeTorch(bytes.file, `asks to call a ${kindOf(callable!)}`);
        return tensorCall(callable.text, callArgs.items);
      }
    }
  }

  function inner(name: string, value: PickleValue | undefined): TorchTensor {
    if (!(value instanceof TorchTensor)) throw bad(`calls ${name} on a ${kindOf(value ?? null)}`);
    return value;
  }

  /** Names and values are fine, and ignored; other states would replace the data. */
  function checkAttributes(state: PickleValue): void {
    if (!(state instanceof PickleDict))
      throw unsafeTorch(bytes.file, `asks to set a ${kindOf(state)} as a tensor's state`);
  }

  function orderedDict(args: readonly PickleValue[]): PickleDict {
    const dict = new PickleDict(true);
    // Python 2 hands the pairs over here; Python 3 sets them afterwards.
    const pairs =
      args.length === 0 ? [] : args.length === 1 && args[0] instanceof PickleList ? args[0].items : undefined;
    if (!pairs) throw bad('makes an OrderedDict of something else than pairs');
    bytes.spend(pairs.length);
    for (const pair of pairs) {
      const items = pair instanceof PickleList || pair instanceof PickleTuple ? pair.items : [];
      if (items.length !== 2) throw bad('makes an OrderedDict of something else than pairs');
      setItem(bytes, dict, items[0]!, items[1]!);
    }
    return dict;
  }

  return {
    name(module, name) {
      const found = findTorchName(module, name);
      if (!found) throw unsafeTorch(bytes.file, `asks for ${quote(`${module}.${name}`)}`);
      return found;
    },
    persistent: storageOf,
    call(callable, args) {
      const name = callable.text;
      if (name === 'collections.OrderedDict') return orderedDict(args);
      if (name === 'torch.device') return new TorchOther('device');
      if (name === '_codecs.encode') return new TorchOther('bytes');
      if (name === 'torch.Size') {
        if (args.length === 1 && countsOf(args[0])) return args[0]!;
        throw bad('has a size that is no tuple of whole numbers');
      }
      if (!/\._rebuild_/.test(name)) throw unsafeTorch(bytes.file, `asks to call ${quote(name)}`);
      return tensorCall(name, args);
    },
    state(target, state) {
      // The versions of a state_dict's modules; anything else on anything else is how objects are made to act.
      const known = state instanceof PickleDict && state.entries.size <= 1 && state.entries.has('_metadata');
      const harmless = target instanceof PickleDict && target.ordered && known;
      if (!harmless) throw unsafeTorch(bytes.file, `asks to set the state of a ${kindOf(target)}`);
    },
  };
}

function countsOf(value: PickleValue | undefined): number[] | undefined {
  if (!(value instanceof PickleTuple) || value.items.length > maxDimensions) return undefined;
  if (!value.items.every(isCount)) return undefined;
  return [...value.items] as number[];
}
