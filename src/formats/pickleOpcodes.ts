// The opcodes that our pickle machine refuses, by name, for error messages that tell what a file tried.

/** Every opcode of protocols 0 to 5 that `readPickle` has no case for. */
export const opcodeNames: ReadonlyMap<number, string> = new Map([
  [0x6f, 'OBJ'],
  [0x81, 'NEWOBJ'],
  [0x92, 'NEWOBJ_EX'],
  [0x82, 'EXT1'],
  [0x83, 'EXT2'],
  [0x84, 'EXT4'],
  [0x50, 'PERSID'],
  [0x80, 'PROTO'],
  [0x30, 'POP'],
  [0x31, 'POP_MARK'],
  [0x32, 'DUP'],
  [0x49, 'INT'],
  [0x4c, 'LONG'],
  [0x8b, 'LONG4'],
  [0x53, 'STRING'],
  [0x56, 'UNICODE'],
  [0x46, 'FLOAT'],
  [0x64, 'DICT'],
  [0x6c, 'LIST'],
  [0x67, 'GET'],
  [0x70, 'PUT'],
  [0x8d, 'BINUNICODE8'],
  [0x8e, 'BINBYTES8'],
  [0x8f, 'EMPTY_SET'],
  [0x90, 'ADDITEMS'],
  [0x91, 'FROZENSET'],
  [0x96, 'BYTEARRAY8'],
  [0x97, 'NEXT_BUFFER'],
  [0x98, 'READONLY_BUFFER'],
]);

/** Those of them that make Python build an object of a class, and so run code. */
export const refusedOpcodes: ReadonlyMap<number, string> = new Map([
  [0x6f, 'asks to make an object of any class'],
  [0x81, 'asks to make an object of a class'],
  [0x92, 'asks to make an object of a class'],
  [0x82, 'asks for an object of the extension registry'],
  [0x83, 'asks for an object of the extension registry'],
  [0x84, 'asks for an object of the extension registry'],
]);
