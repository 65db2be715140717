// What a pickle may hold once it is read: plain values and inert nodes. No node has a method that a file could reach.

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleTuple
  | PickleList
  | PickleDict
  | PickleName
  | PickleObject;

export class PickleTuple {
  readonly items: readonly PickleValue[];
  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

export class PickleList {
  readonly items: PickleValue[] = [];
}

const none: ReadonlyMap<PickleValue, PickleValue> = new Map();

/** A dict or an OrderedDict. Keys live in a Map, so that no key (`__proto__`) means more than itself. */
export class PickleDict {
  readonly ordered: boolean;
  /** Made when the first key comes: a checkpoint has an empty OrderedDict a tensor. */
  #entries: Map<PickleValue, PickleValue> | undefined;

  constructor(ordered: boolean) {
    this.ordered = ordered;
  }

  get entries(): ReadonlyMap<PickleValue, PickleValue> {
    return this.#entries ?? none;
  }

  set(key: PickleValue, value: PickleValue): void {
    this.#entries ??= new Map();
    this.#entries.set(key, value);
  }
}

/** A global that the reader's list allows: a name and nothing else. */
export class PickleName {
  /** Module and name with a dot between. */
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What a call or a persistent id stands for; each user of the unpickler has kinds of its own. */
export abstract class PickleObject {
  /** For messages and listings, e.g. 'tensor'. */
  abstract readonly kind: string;
}

/** For messages: what a value is, never what it holds. */
export function kindOf(value: PickleValue): string {
  if (value === null) return 'None';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof PickleTuple) return 'tuple';
  if (value instanceof PickleList) return 'list';
  if (value instanceof PickleDict) return value.ordered ? 'OrderedDict' : 'dict';
  if (value instanceof PickleName) return value.text;
  if (value instanceof PickleObject) return value.kind;
  return typeof value === 'bigint' ? 'number' : typeof value;
}
