// What the calls of a checkpoint make: descriptions of storages and tensors, without their data.
import { PickleObject } from './pickleValues.ts';
import type { TorchType } from './torchNames.ts';

/** Elements that tensors share; `key` says which bytes of the file hold them. */
export class TorchStorage extends PickleObject {
  readonly kind = 'storage';
  readonly key: string;
  readonly type: TorchType;
  /** Of the whole storage `key`. */
  readonly elements: number;
  /** The part that a legacy file means by it, in elements. */
  readonly view: { start: number; elements: number };

  constructor(key: string, type: TorchType, elements: number, view = { start: 0, elements }) {
    super();
    this.key = key;
    this.type = type;
    this.elements = elements;
    this.view = view;
  }
}

export class TorchTensor extends PickleObject {
  readonly kind = 'tensor';
  readonly storage: TorchStorage;
  readonly type: TorchType;
  readonly shape: number[];
  /** In elements of `type`, as is `start`, which counts from the beginning of the whole storage. */
  readonly strides: number[];
  readonly start: number;

  constructor(storage: TorchStorage, type: TorchType, shape: number[], strides: number[], start: number) {
    super();
    this.storage = storage;
    this.type = type;
    this.shape = shape;
    this.strides = strides;
    this.start = start;
  }
}

/** A call whose result no tensor needs, e.g. torch.device('cuda'). */
export class TorchOther extends PickleObject {
  readonly kind: string;
  constructor(kind: string) {
    super();
    this.kind = kind;
  }
}
