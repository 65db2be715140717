// Every published way to make a pickle run code, or to hide that from a scanner, as far as we know: all refused by name.
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../src/base/index.ts';
import { openTorchFile } from '../../../src/formats/torchFile.ts';
import { expectError } from './helpers.ts';
import {
  besideTensor,
  call,
  global,
  int,
  join,
  type Part,
  pickle,
  rebuild,
  stackGlobal,
  str,
  tensor,
  torchLegacy,
  torchZip,
  tuple,
  u32,
  u64,
} from './torchBuilder.ts';

const open = (bytes: Uint8Array) => openTorchFile(memorySource('x.bin', bytes));
const unsafe = (bytes: Uint8Array, message: RegExp) => expectError(() => open(bytes), 'UNSAFE_TORCH_FILE', message);

/** module: names. The first lines are what payloads call, the others how scanners with a list of bad names were passed. */
const gadgets: Record<string, string> = {
  os: 'system popen execv spawnl startfile remove unlink kill',
  posix: 'system popen execve',
  nt: 'system',
  subprocess: 'Popen call run check_call check_output getoutput',
  builtins:
    'eval exec compile open getattr setattr __import__ breakpoint apply globals vars map bytes dict set object type',
  __builtin__: 'eval execfile apply getattr __import__ file set',
  sys: 'exit modules breakpointhook addaudithook',
  commands: 'getoutput',
  pty: 'spawn',
  runpy: 'run_module run_path _run_code',
  pip: 'main',
  'pip._internal': 'main',
  'pip._internal.cli.main': 'main',
  ensurepip: '_run_pip bootstrap',
  timeit: 'timeit repeat main Timer',
  bdb: 'Bdb Bdb.run Bdb.runctx',
  pdb: 'run runeval Pdb',
  code: 'interact InteractiveInterpreter.runcode InteractiveConsole',
  codeop: 'compile_command',
  cProfile: 'run runctx',
  profile: 'run Profile.run Profile.runctx',
  trace: 'Trace.run Trace.runctx',
  doctest: 'debug_script testmod',
  'idlelib.run': 'Executive.runcode',
  'idlelib.pyshell': 'ModifiedInterpreter.runcommand ModifiedInterpreter.runcode',
  'idlelib.autocomplete': 'AutoComplete.get_entity AutoComplete.fetch_completions',
  'idlelib.calltip': 'get_entity Calltip.fetch_tip',
  'idlelib.debugobj': 'ObjectTreeItem.SetText',
  'lib2to3.pgen2.pgen': 'ParserGenerator.make_label',
  'lib2to3.pgen2.grammar': 'Grammar.loads',
  'asyncio.unix_events': '_UnixSubprocessTransport._start',
  asyncio: 'create_subprocess_shell create_subprocess_exec run',
  'multiprocessing.util': 'spawnv_passfds',
  operator: 'attrgetter itemgetter methodcaller call',
  _operator: 'attrgetter methodcaller',
  functools: 'partial reduce partialmethod',
  itertools: 'starmap',
  types: 'CodeType FunctionType MethodType',
  marshal: 'loads load',
  pickle: 'loads load Unpickler _loads',
  _pickle: 'loads load',
  dill: 'loads',
  cloudpickle: 'loads',
  joblib: 'load',
  shelve: 'open',
  copyreg: '_reconstructor add_extension __newobj__',
  copy_reg: '_reconstructor',
  importlib: 'import_module reload __import__',
  'importlib._bootstrap': '_load',
  pkgutil: 'resolve_name get_loader',
  pydoc: 'locate pipepager tempfilepager importfile',
  _pyrepl: 'pager.pipe_pager',
  zipimport: 'zipimporter.load_module',
  zipfile: 'ZipFile',
  tarfile: 'open TarFile.extractall',
  shutil: 'rmtree copyfile move',
  _io: 'FileIO open',
  io: 'open FileIO',
  codecs: 'encode decode open',
  _codecs: 'decode lookup',
  distutils: 'file_util.write_file',
  'distutils.file_util': 'write_file copy_file',
  logging: 'FileHandler config.listen',
  'logging.config': '_resolve dictConfig',
  ctypes: 'CDLL cdll.LoadLibrary WinDLL',
  _ctypes: 'dlopen call_function',
  webbrowser: 'open get',
  socket: 'socket create_connection',
  ssl: 'get_server_certificate',
  'urllib.request': 'urlopen urlretrieve',
  'http.client': 'HTTPSConnection',
  requests: 'get',
  'requests.api': 'post',
  smtplib: 'SMTP',
  ftplib: 'FTP',
  telnetlib: 'Telnet',
  uuid: '_get_command_stdout',
  _osx_support: '_read_output _find_build_tool',
  _aix_support: '_read_cmd_output',
  'unittest.mock': '_importer patch',
  'test.support.script_helper': 'assert_python_ok spawn_python',
  signal: 'signal raise_signal',
  threading: 'Thread Timer',
  gc: 'get_objects',
  sqlite3: 'connect',
  imp: 'load_source',
  site: 'execsitecustomize addsitedir main',
  venv: 'main',
  cgitb: 'lookup',
  nturl2path: 'url2pathname',
  numpy: 'load loadtxt lib.npyio.load dtype ndarray f2py.crackfortran._eval_length',
  'numpy.lib.npyio': 'load DataSource',
  'numpy.core.multiarray': '_reconstruct scalar',
  'numpy.testing._private.utils': 'runstring',
  'numpy.f2py.crackfortran': 'getlincoef myeval _eval_length param_eval',
  'numpy.distutils.exec_command': 'exec_command',
  torch:
    'load hub jit classes ops compile import_ir_module serialization.load hub.load _utils._rebuild_tensor_v2 storage.UntypedStorage',
  'torch.serialization': 'load _load StorageType _get_layout add_safe_globals',
  'torch.hub': 'load load_state_dict_from_url _import_module download_url_to_file',
  'torch.jit': 'load',
  'torch._C': '_load_library',
  'torch._inductor.codecache': 'compile_file PyCodeCache.load',
  'torch._inductor.runtime.compile_tasks': '_reload_python_module',
  'torch._dynamo.guards': 'GuardBuilder.get',
  'torch.fx.experimental.symbolic_shapes': 'ShapeEnv.evaluate_guards_expression',
  'torch.utils._config_module': 'ConfigModule.load_config load_config',
  'torch.utils.bottleneck.__main__': 'run_cprofile run_autograd_prof',
  'torch.utils.collect_env': 'run run_lambda',
  'torch.utils.data.datapipes.utils.decoder': 'basichandlers',
  'torch.utils.cpp_extension': 'load load_inline',
  'torch.multiprocessing.spawn': 'spawn',
  'torch.distributed.elastic.multiprocessing': 'start_processes',
  'torch.package': 'PackageImporter',
  'torch.cuda': 'FloatStorage',
  'torch.storage': 'TypedStorage _load_from_bytes UntypedStorage.from_file FloatStorage',
  'torch.nn.modules.linear': 'Linear',
  'torch.nn.modules.module': 'Module.__setstate__',
  'torch.nn.parameter': 'Parameter.__new__ UninitializedParameter',
  'torch._utils':
    '_import_dotted_name _rebuild_tensor_v2.__globals__ _rebuild_tensor_v2.__globals__.__getitem__ _rebuild_sparse_tensor ' +
    '_rebuild_qtensor _rebuild_wrapper_subclass _rebuild_meta_tensor_no_storage _rebuild_device_tensor_from_numpy',
  'torch._tensor': '_rebuild_from_type_v2.__code__ Tensor.__setstate__',
  collections:
    'OrderedDict.__init__ OrderedDict.fromkeys OrderedDict.update defaultdict Counter namedtuple _sys.modules',
  'collections.OrderedDict': '__init__ fromkeys',
  argparse: 'Namespace',
  'transformers.training_args': 'TrainingArguments',
  __main__: 'Model',
};

/** Spellings that a comparison somewhere might take for an allowed one. */
const spellings: [string, string][] = [
  ['Torch', 'FloatStorage'],
  ['torch ', 'FloatStorage'],
  ['torch', 'FloatStorage '],
  ['torch', 'floatstorage'],
  ['torch\r', 'FloatStorage'],
  ['torch\u0000', 'FloatStorage'],
  ['', 'torch.FloatStorage'],
  ['torch.FloatStorage', ''],
  ['torch', ''],
  ['tоrch', 'FloatStorage'],
  ['ｔｏｒｃｈ', 'FloatStorage'],
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  ['toString', 'call'],
];

const named = [
  ...Object.entries(gadgets).flatMap(([m, names]) => names.split(' ').map((n): [string, string] => [m, n])),
  ...spellings,
];

describe('globals', () => {
  it(`refuses ${named.length} of them by GLOBAL and STACK_GLOBAL, anywhere in any layout`, async () => {
    for (const [module, name] of named) {
      for (const form of [global(module, name), stackGlobal(module, name)]) {
        const payload = call(form, str('touch /tmp/pwned'));
        const files = [torchZip(pickle(payload)), torchLegacy(pickle(besideTensor(payload)))];
        // In any of the small pickles of the old layout, too.
        const places = module === 'os' ? [0, 1, 2, 4] : [];
        for (const at of places) files.push(torchLegacy(pickle(tensor()), { [at]: pickle(payload) }));
        for (const file of files) await unsafe(file, /^x\.bin: asks for ".*": refused, nothing was run$/s);
      }
    }
  });

  it('says which, and what to do', async () => {
    const error = await open(torchZip(pickle(call(global('os', 'system'), str('id'))))).catch((cause) => cause);
    expect(error.message).toBe('x.bin: asks for "os.system": refused, nothing was run');
    expect(error.hint).toMatch(/safetensors/);
  });

  it('refuses the name itself, called or not', async () => {
    await unsafe(torchZip(pickle(global('posix', 'system'))), /posix\.system/);
    await unsafe(torchZip(pickle(besideTensor(join(global('os', 'system'), '0N')))), /os\.system/);
  });

  it('refuses names that are put together on the way', async () => {
    // The names wait in a list or in the memo until they are needed.
    const hidden = join('](', str('system'), 'q\x00', str('os'), 'q\x01e0');
    await expectError(() => open(torchZip(pickle(join(hidden, 'h\x01h\x00', [0x93], 'N')))), 'BAD_TORCH_FILE', /POP/);
    const late = join('(', str('system'), 'q\x00', str('os'), 'q\x01h\x01h\x00', [0x93], str('id'), [0x85], 'Rt');
    await unsafe(torchZip(pickle(late)), /asks for "os\.system"/);
    const joined = call(global('operator', 'add'), str('o'), str('s'));
    await unsafe(torchZip(pickle(join(joined, str('system'), [0x93]))), /asks for "operator\.add"/);
    await unsafe(torchZip(pickle(join('N', str('system'), [0x93]))), /asks for a global by None and string/);
    await unsafe(torchZip(pickle(join(tensor(), str('system'), [0x93]))), /asks for a global by tensor and string/);
    await unsafe(torchZip(pickle(join(global('torch', 'Size'), str('x'), [0x93]))), /by torch\.Size and string/);
  });
});

describe('opcodes', () => {
  const size = global('torch', 'Size');
  const cases: [string, Part, RegExp][] = [
    ['INST', join('(', str('id'), 'ios\nsystem\n'), /asks to make an object of "os\.system"/],
    [
      'OBJ',
      join('(', global('collections', 'OrderedDict'), 'o'),
      /asks to make an object of any class \(OBJ at byte \d+\)/,
    ],
    ['NEWOBJ', join(size, ')', [0x81]), /asks to make an object of a class \(NEWOBJ/],
    ['NEWOBJ_EX', join(size, ')}', [0x92]), /NEWOBJ_EX/],
    ['EXT1', join([0x82, 1]), /extension registry \(EXT1/],
    ['EXT2', join([0x83, 1, 0]), /EXT2/],
    ['EXT4', join([0x84, 1, 0, 0, 0]), /EXT4/],
    ['REDUCE of a string', join(str('os.system'), ')R'), /asks to call a string/],
    ['REDUCE of a tensor', join(tensor(), ')R'), /asks to call a tensor/],
    ['REDUCE of a type', join(global('torch', 'FloatStorage'), ')R'), /asks to call "torch\.FloatStorage"/],
    ['REDUCE of a class', join(global('torch', 'Tensor'), ')R'), /asks to call "torch\.Tensor"/],
    ['a persistent id that is text', join(str('os.system'), 'Q'), /asks for a string from outside the pickle/],
    [
      'a persistent module',
      join(tuple(str('module'), size, str('f.py'), str('import os')), 'Q'),
      /the source code of a class/,
    ],
    [
      'a persistent id of another kind',
      join(tuple(str('file'), str('/etc/passwd'), str('0'), str('cpu'), int(4)), 'Q'),
      /not for a storage/,
    ],
    ['BUILD on a tensor', join(tensor(), '}b'), /asks to set the state of a tensor/],
    ['BUILD on a dict', join('}}b'), /set the state of a dict/],
    ['BUILD on a global', join(size, '}', str('__class__'), 'Nsb'), /set the state of a torch\.Size/],
    [
      'BUILD of another attribute',
      join(call(global('collections', 'OrderedDict')), '}', str('__class__'), 'Nsb'),
      /set the state of a OrderedDict/,
    ],
    [
      'BUILD with a tuple',
      join(call(global('collections', 'OrderedDict')), 'N}', [0x86], 'b'),
      /set the state of a OrderedDict/,
    ],
    [
      'a rebuild function that calls another',
      call(global('torch._tensor', '_rebuild_from_type_v2'), size, global('torch', 'Tensor'), tuple(), '}'),
      /asks to call a torch\.Size/,
    ],
    [
      'a rebuild function that calls itself',
      call(
        global('torch._tensor', '_rebuild_from_type_v2'),
        global('torch._tensor', '_rebuild_from_type_v2'),
        global('torch', 'Tensor'),
        tuple(),
        '}',
      ),
      /asks to call a torch\._tensor/,
    ],
    [
      'a state that replaces the data',
      call(global('torch._tensor', '_rebuild_from_type_v2'), rebuild, global('torch', 'Tensor'), tuple(), tuple()),
      /asks to set a tuple as a tensor's state/,
    ],
    [
      'the same for a parameter',
      call(global('torch._utils', '_rebuild_parameter_with_state'), tensor(), [0x89], '}', tuple()),
      /asks to set a tuple as a tensor's state/,
    ],
  ];
  it.each(cases)('%s', async (_, value, message) => {
    await unsafe(torchZip(pickle(value)), message);
    await unsafe(torchZip(pickle(besideTensor(value))), message);
    await unsafe(torchLegacy(pickle(besideTensor(value))), message);
  });

  const unknown: [string, Part, RegExp][] = [
    ['PERSID', 'Pos.system\n', /opcode PERSID/],
    ['DUP', join(tensor(), '2'), /opcode DUP/],
    ['POP', 'N0N', /opcode POP/],
    ['POP_MARK', '(1N', /opcode POP_MARK/],
    ['INT', 'I1\n', /opcode INT/],
    ['LONG', 'L1L\n', /opcode LONG/],
    ['LONG4', join([0x8b], u32(0x7fffffff)), /opcode LONG4/],
    ['STRING', "S'os'\n", /opcode STRING/],
    ['UNICODE', 'Vos\n', /opcode UNICODE/],
    ['FLOAT', 'F1.0\n', /opcode FLOAT/],
    ['DICT', '(d', /opcode DICT/],
    ['LIST', '(l', /opcode LIST/],
    ['GET', 'g0\n', /opcode GET/],
    ['PUT', 'Np0\n', /opcode PUT/],
    ['EMPTY_SET', [0x8f], /opcode EMPTY_SET/],
    ['FROZENSET', join('(', [0x91]), /opcode FROZENSET/],
    ['BINUNICODE8', join([0x8d], u64(2), 'os'), /opcode BINUNICODE8/],
    ['BINBYTES8', join([0x8e], u64(2 ** 40)), /opcode BINBYTES8/],
    ['BYTEARRAY8', join([0x96], u64(2 ** 40)), /opcode BYTEARRAY8/],
    ['NEXT_BUFFER', [0x97], /opcode NEXT_BUFFER/],
    ['READONLY_BUFFER', [0x98], /opcode READONLY_BUFFER/],
    ['a second PROTO', join([0x80, 4], 'N'), /opcode PROTO/],
    ['an opcode that does not exist', [0xff], /opcode 0xff/],
    ['a zero', [0], /opcode 0x0/],
  ];
  it.each(unknown)('refuses %s', async (_, value, message) => {
    await expectError(() => open(torchZip(pickle(value))), 'BAD_TORCH_FILE', message);
    await expectError(() => open(torchLegacy(pickle(value))), 'BAD_TORCH_FILE', message);
  });
});

describe('hiding', () => {
  const system = call(global('os', 'system'), str('id'));

  it('a payload before the byte that makes a scanner give up', async () => {
    await unsafe(torchZip(pickle(join(system, [0xff]))), /os\.system/);
    await unsafe(torchZip(join([0x80, 2], system)), /os\.system/);
    await unsafe(torchLegacy(join([0x80, 2], system, 'X\xff\xff\xff\xff')), /os\.system/);
  });

  it('a second pickle behind the STOP', async () => {
    const two = join(pickle(besideTensor('N')), pickle(system));
    await expectError(() => open(torchZip(two)), 'BAD_TORCH_FILE', /is followed by something/);
    await unsafe(torchLegacy(two), /os\.system/);
    await expectError(
      () => open(join(torchLegacy(pickle(besideTensor('N'))), pickle(system))),
      'BAD_TORCH_FILE',
      /bytes beyond its last storage/,
    );
  });

  it('a bare pickle with the name of a checkpoint', async () => {
    await unsafe(pickle(system), /os\.system/);
    await expectError(() => open(pickle('N')), 'BAD_TORCH_FILE', /is a pickle, but no PyTorch checkpoint/);
    await expectError(
      () => open(join('(', 'cos\nsystem\n', 'tR.')),
      'BAD_TORCH_FILE',
      /neither a zip archive nor a pickle/,
    );
    await expectError(() => open(pickle(system, 1)), 'BAD_TORCH_FILE', /has protocol 1, not 2 to 5/);
    await expectError(() => open(pickle(system, 6)), 'BAD_TORCH_FILE', /has protocol 6, not 2 to 5/);
  });

  it('nested pickles are bytes, and no more than that', async () => {
    const inner = pickle(system);
    const file = await open(torchZip(pickle(besideTensor(join('B', u32(inner.length), inner)), 4)));
    expect(file.metadata.get('x')).toEqual({ kind: 'bytes', size: inner.length });
    await unsafe(
      torchZip(pickle(call(global('pickle', 'loads'), join('B', u32(inner.length), inner)))),
      /pickle\.loads/,
    );
  });

  it('keys that mean something in JavaScript', async () => {
    for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'then']) {
      const file = await open(torchZip(pickle(join('}(', str(key), tensor(), str(`${key}.x`), str('v'), 'u'))));
      expect([...file.tensors.keys()]).toEqual([key]);
      expect(await file.readFloat32(key)).toEqual(new Float32Array([1, 2, 3, 4]));
      expect(({} as Record<string, unknown>).x).toBeUndefined();
    }
    const error = (): Promise<unknown> =>
      open(torchZip(pickle(besideTensor('N')))).then((file) => file.readFloat32('__proto__'));
    await expectError(error, 'TENSOR_NOT_FOUND', /__proto__/);
  });

  it('harmless files built the same way are read', async () => {
    for (const file of [torchZip(pickle(besideTensor('N'))), torchLegacy(pickle(besideTensor('N')))]) {
      const opened = await open(file);
      expect(await opened.readFloat32('w')).toEqual(new Float32Array([1, 2, 3, 4]));
      expect(opened.metadata.get('x')).toBeNull();
    }
  });
});
