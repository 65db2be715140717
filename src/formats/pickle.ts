// A pickle machine that can build values and nothing else: https://github.com/python/cpython/blob/main/Lib/pickletools.py
// Names are looked up in a list by whoever calls it (`PickleWorld`); there is no import, no call and no attribute here.
import { type PickleBytes, pickleLimits, unsafeTorch } from './pickleBytes.ts';
import { opcodeNames, refusedOpcodes } from './pickleOpcodes.ts';
import {
  kindOf,
  PickleDict,
  PickleList,
  PickleName,
  type PickleObject,
  PickleTuple,
  type PickleValue,
} from './pickleValues.ts';
import { quote } from './quote.ts';

/** What names, calls and persistent ids mean. Each throws for what it does not know. */
export interface PickleWorld {
  name(module: string, name: string): PickleName;
  call(callable: PickleName, args: readonly PickleValue[]): PickleValue;
  persistent(id: PickleValue): PickleObject;
  /** State that a file wants to set on an object; to be checked and thrown away. */
  state(target: PickleValue, state: PickleValue): void;
}

/**
 * Reads one pickle, from its PROTO to its STOP; `bytes` stands after it then. Protocols 2 to 5, binary opcodes only.
 * @throws HuacayaError BAD_TORCH_FILE, UNSAFE_TORCH_FILE, and what `world` throws.
 */
export function readPickle(bytes: PickleBytes, world: PickleWorld): PickleValue {
  const stack: PickleValue[] = [];
  const marks: number[] = [];
  const memo: PickleValue[] = [];
  let remembered = 0;

  if (bytes.u8() !== 0x80) throw bytes.bad('does not begin with a protocol');
  const protocol = bytes.u8();
  if (protocol < 2 || protocol > 5) throw bytes.bad(`has protocol ${protocol}, not 2 to 5`);

  /** Values below the last mark belong to a container that is not this one's. */
  const floor = () => marks[marks.length - 1] ?? 0;
  const top = (): PickleValue => {
    if (stack.length <= floor()) throw bytes.bad('takes a value from an empty stack');
    return stack[stack.length - 1]!;
  };
  const pop = (): PickleValue => {
    const value = top();
    stack.length--;
    return value;
  };
  const popMark = (): PickleValue[] => {
    const start = marks.pop();
    if (start === undefined) throw bytes.bad('ends a container that was not begun');
    return stack.splice(start);
  };
  const node = <T extends PickleValue>(value: T): T => {
    bytes.spend(1);
    return value;
  };
  const remember = (index: number) => {
    // Writers number what they remember in order, from 0 or from 1, and never twice.
    if (index > remembered + 1 || memo[index] !== undefined) throw bytes.bad(`remembers value ${index} out of turn`);
    memo[index] = top();
    remembered++;
  };
  const recall = (index: number): PickleValue => {
    const value = memo[index];
    if (value === undefined) throw bytes.bad(`recalls value ${index}, which was not remembered`);
    return value;
  };
  const tuple = (length: number) => {
    const items: PickleValue[] = [];
    for (let i = 0; i < length; i++) items.push(pop());
    stack.push(node(new PickleTuple(items.reverse())));
  };
  const list = (): PickleList => {
    const value = top();
    if (!(value instanceof PickleList)) throw bytes.bad(`appends to a ${kindOf(value)}`);
    return value;
  };
  const dict = (): PickleDict => {
    const value = top();
    if (!(value instanceof PickleDict)) throw bytes.bad(`sets items of a ${kindOf(value)}`);
    return value;
  };

  for (let count = 0; ; count++) {
    if (count >= pickleLimits.opcodes) throw bytes.bad(`has more than ${pickleLimits.opcodes} opcodes`);
    if (stack.length > pickleLimits.stack) throw bytes.bad(`piles up more than ${pickleLimits.stack} values`);
    const opcode = bytes.opcode();
    switch (opcode) {
      case 0x28: // MARK
        if (marks.length >= pickleLimits.marks) throw bytes.bad(`is nested deeper than ${pickleLimits.marks} levels`);
        marks.push(stack.length);
        break;
      case 0x2e: {
        // STOP
        const value = pop();
        if (stack.length || marks.length) throw bytes.bad('stops with values left over');
        bytes.endPickle();
        return value;
      }
      case 0x95: // FRAME
        bytes.beginFrame();
        break;
      case 0x4e: // NONE
        stack.push(null);
        break;
      case 0x88: // NEWTRUE
        stack.push(true);
        break;
      case 0x89: // NEWFALSE
        stack.push(false);
        break;
      case 0x4a: // BININT
        stack.push(bytes.i32());
        break;
      case 0x4b: // BININT1
        stack.push(bytes.u8());
        break;
      case 0x4d: // BININT2
        stack.push(bytes.u16());
        break;
      case 0x8a: // LONG1
        stack.push(bytes.long(bytes.u8()));
        break;
      case 0x47: // BINFLOAT
        stack.push(bytes.f64());
        break;
      case 0x8c: // SHORT_BINUNICODE
      case 0x55: // SHORT_BINSTRING, text of Python 2
        stack.push(bytes.text(bytes.u8()));
        break;
      case 0x58: // BINUNICODE
      case 0x54: // BINSTRING, text of Python 2
        stack.push(bytes.text(bytes.u32()));
        break;
      case 0x43: // SHORT_BINBYTES
        stack.push(node(bytes.bytes(bytes.u8())));
        break;
      case 0x42: // BINBYTES
        stack.push(node(bytes.bytes(bytes.u32())));
        break;
      case 0x5d: // EMPTY_LIST
        stack.push(node(new PickleList()));
        break;
      case 0x7d: // EMPTY_DICT
        stack.push(node(new PickleDict(false)));
        break;
      case 0x29: // EMPTY_TUPLE
        tuple(0);
        break;
      case 0x85: // TUPLE1
        tuple(1);
        break;
      case 0x86: // TUPLE2
        tuple(2);
        break;
      case 0x87: // TUPLE3
        tuple(3);
        break;
      case 0x74: // TUPLE
        stack.push(node(new PickleTuple(popMark())));
        break;
      case 0x61: {
        // APPEND
        const item = pop();
        list().items.push(item);
        break;
      }
      case 0x65: {
        // APPENDS
        const items = popMark();
        const target = list();
        for (const item of items) target.items.push(item);
        break;
      }
      case 0x73: {
        // SETITEM
        const [value, key] = [pop(), pop()];
        setItem(bytes, dict(), key, value);
        break;
      }
      case 0x75: {
        // SETITEMS
        const items = popMark();
        const target = dict();
        if (items.length % 2) throw bytes.bad('sets a key without a value');
        for (let i = 0; i < items.length; i += 2) setItem(bytes, target, items[i]!, items[i + 1]!);
        break;
      }
      case 0x71: // BINPUT
        remember(bytes.u8());
        break;
      case 0x72: // LONG_BINPUT
        remember(bytes.u32());
        break;
      case 0x94: // MEMOIZE
        remember(remembered);
        break;
      case 0x68: // BINGET
        stack.push(recall(bytes.u8()));
        break;
      case 0x6a: // LONG_BINGET
        stack.push(recall(bytes.u32()));
        break;
      case 0x63: {
        // GLOBAL
        const module = bytes.line();
        stack.push(node(world.name(module, bytes.line())));
        break;
      }
      case 0x93: {
        // STACK_GLOBAL
        const [name, module] = [pop(), pop()];
        if (typeof name !== 'string' || typeof module !== 'string') {
          throw unsafeTorch(
            bytes.file,
            `asks for a global by ${kindOf(module)} and ${kindOf(name)}, not by two strings`,
          );
        }
        stack.push(node(world.name(module, name)));
        break;
      }
      case 0x52: {
        // REDUCE
        const [args, callable] = [pop(), pop()];
        if (!(callable instanceof PickleName)) throw unsafeTorch(bytes.file, `asks to call a ${kindOf(callable)}`);
        if (!(args instanceof PickleTuple)) throw bytes.bad(`calls ${callable.text} with a ${kindOf(args)}`);
        stack.push(node(world.call(callable, args.items)));
        break;
      }
      case 0x51: // BINPERSID
        stack.push(node(world.persistent(pop())));
        break;
      case 0x62: {
        // BUILD
        const state = pop();
        world.state(top(), state);
        break;
      }
      case 0x69: // INST
        throw unsafeTorch(bytes.file, `asks to make an object of ${quote(`${bytes.line()}.${bytes.line()}`)}`);
      default: {
        const name = opcodeNames.get(opcode);
        const why = refusedOpcodes.get(opcode);
        if (name && why) throw unsafeTorch(bytes.file, `its pickle ${why} (${name} at byte ${bytes.position - 1})`);
        throw bytes.bad(`has the opcode ${name ?? `0x${opcode.toString(16)}`}, which no checkpoint needs,`);
      }
    }
  }
}

/** Also for pairs that a call hands over. */
export function setItem(bytes: PickleBytes, dict: PickleDict, key: PickleValue, value: PickleValue): void {
  if (typeof key === 'object' && key !== null) throw bytes.bad(`has a ${kindOf(key)} for a key`);
  // Readers that keep the first and readers that keep the last would see two different files.
  if (dict.entries.has(key))
    throw bytes.bad(`sets a key twice (${typeof key === 'string' ? JSON.stringify(key.slice(0, 80)) : key})`);
  dict.set(key, value);
}
