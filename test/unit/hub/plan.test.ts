// Which files of a repository are fetched, which not and why.
import { describe, expect, it } from 'vitest';
import { fnmatch } from '../../../src/hub/fnmatch.ts';
import { type HubListing, type PlanOptions, parseListing, planFiles } from '../../../src/hub/index.ts';

/** Sizes fall from 1000, so that the order of the list and that of the plan are different. */
function listing(names: readonly string[]): HubListing {
  const siblings = names.map((rfilename, i) => ({ rfilename, size: 1000 - i, blobId: 'b'.repeat(40) }));
  return parseListing('a/b', { sha: 'a'.repeat(40), siblings });
}
function plan(names: readonly string[], options: PlanOptions = {}) {
  const { kind, files, skipped } = planFiles('a/b', listing(names), options);
  return {
    kind,
    files: files.map((file) => file.name).sort(),
    why: Object.fromEntries(skipped.map((s) => [s.name, s.why])),
  };
}
const shards = (stem: string, extension: string, of: number) =>
  Array.from(
    { length: of },
    (_, i) => `${stem}-${String(i + 1).padStart(5, '0')}-of-${String(of).padStart(5, '0')}.${extension}`,
  );

const BESIDE = ['config.json', 'generation_config.json', 'tokenizer_config.json', 'special_tokens_map.json'];

describe('the weights of a model', () => {
  it('are taken once, as safetensors, with a reason for everything else', () => {
    const { kind, files, why } = plan([
      ...BESIDE,
      'tokenizer.json',
      'README.md',
      'LICENSE.txt',
      ...shards('model', 'safetensors', 2),
      'model.safetensors.index.json',
      ...shards('pytorch_model', 'bin', 2),
      'pytorch_model.bin.index.json',
      'original/consolidated.00.pth',
      'original/params.json',
      'onnx/model.onnx',
      'model.onnx_data',
      'tf_model.h5',
      'flax_model.msgpack',
      'model-Q4_0.gguf',
      'optimizer.pt',
      'training_args.bin',
      'checkpoint-500/trainer_state.json',
      'modeling_llama.py',
      'vocab.json',
      'images/logo.png',
    ]);
    expect(kind).toBe('safetensors');
    expect(files).toEqual(
      [
        ...BESIDE,
        'tokenizer.json',
        'README.md',
        'LICENSE.txt',
        ...shards('model', 'safetensors', 2),
        'model.safetensors.index.json',
      ].sort(),
    );
    const instead = 'the weights are taken as safetensors';
    expect(why).toEqual({
      'pytorch_model-00001-of-00002.bin': instead,
      'pytorch_model-00002-of-00002.bin': instead,
      'pytorch_model.bin.index.json': instead,
      'original/consolidated.00.pth': instead,
      'original/params.json': instead,
      'onnx/model.onnx': 'ONNX is not read',
      'model.onnx_data': 'ONNX is not read',
      'tf_model.h5': 'weights for TensorFlow, Flax and others are not read',
      'flax_model.msgpack': 'weights for TensorFlow, Flax and others are not read',
      'model-Q4_0.gguf': instead,
      'optimizer.pt': 'is the state of a training run',
      'training_args.bin': 'is the state of a training run',
      'checkpoint-500/trainer_state.json': 'is the state of a training run',
      'modeling_llama.py': 'is a program, and nothing of a repository is run',
      'vocab.json': 'is not needed',
      'images/logo.png': 'is not needed',
    });
  });

  it.each<[string, string, string[], string[]]>([
    [
      'one file rather than its shards',
      'safetensors',
      ['model.safetensors', ...shards('model', 'safetensors', 3)],
      ['model.safetensors'],
    ],
    [
      'the standard file rather than a variant',
      'safetensors',
      ['model.safetensors', 'model.fp16.safetensors'],
      ['model.safetensors'],
    ],
    [
      'a name of its own',
      'safetensors',
      ['llama-7b.safetensors', 'consolidated.safetensors'],
      ['llama-7b.safetensors'],
    ],
    [
      'consolidated.safetensors where there is nothing else',
      'safetensors',
      ['consolidated.safetensors'],
      ['consolidated.safetensors'],
    ],
    [
      'pytorch_model.bin',
      'pytorch',
      ['pytorch_model.bin', 'consolidated.00.pth', 'params.json'],
      ['pytorch_model.bin'],
    ],
    [
      '33 shards with their index',
      'pytorch',
      [...shards('pytorch_model', 'bin', 33), 'pytorch_model.bin.index.json', 'pytorch_model-00001-of-00034.bin'],
      [...shards('pytorch_model', 'bin', 33), 'pytorch_model.bin.index.json'],
    ],
    [
      "Meta's files",
      'meta',
      ['consolidated.00.pth', 'consolidated.01.pth', 'params.json', 'checklist.chk'],
      ['consolidated.00.pth', 'consolidated.01.pth', 'params.json'],
    ],
    [
      "Meta's files in their folder, where there is nothing better",
      'meta',
      ['original/consolidated.00.pth', 'original/params.json', 'original/tokenizer.model', 'original/x'],
      ['original/consolidated.00.pth', 'original/params.json', 'original/tokenizer.model'],
    ],
  ])('are %s', (_, kind, names, wanted) => {
    const made = plan(['tokenizer.model', 'config.json', ...names]);
    expect(made.kind).toBe(kind);
    expect(made.files).toEqual(['tokenizer.model', 'config.json', ...wanted].sort());
  });

  it('take the old tokenizer files only where there is no better one', () => {
    const old = ['config.json', 'model.safetensors', 'vocab.json', 'merges.txt'];
    expect(plan(old).files).toEqual([...old].sort());
    expect(plan([...old, 'tokenizer.model']).files).not.toContain('merges.txt');
  });

  it.each([
    [['pytorch_model-00002-of-00002.bin'], 'lacks shard 1 of 2'],
    [['model-00001-of-00003.safetensors', 'model-00003-of-00003.safetensors'], 'lacks shard 2 of 3'],
    [['consolidated.01.pth', 'params.json'], 'lacks shard'],
    [['onnx/model.onnx', 'config.json'], 'no weights in a form that we read .*model.onnx'],
    [['config.json'], 'no weights in a form that we read'],
    [['consolidated.00.pth'], 'no weights in a form that we read'],
  ])('of %j are an error', (names, message) => {
    expect(() => plan(names)).toThrow(
      expect.objectContaining({ code: 'HUB_UNSUPPORTED', message: expect.stringMatching(message) }),
    );
  });
});

describe('an adapter', () => {
  it.each(['adapter_model.safetensors', 'adapter_model.bin'])('is its configuration and %s', (weights) => {
    const made = plan(['adapter_config.json', weights, 'README.md', 'optimizer.pt']);
    expect(made).toMatchObject({ kind: 'adapter', files: ['README.md', 'adapter_config.json', weights] });
  });

  it('is taken as safetensors where it is there twice, and beside a whole model too', () => {
    const names = ['adapter_config.json', 'adapter_model.bin', 'adapter_model.safetensors'];
    expect(plan(names)).toMatchObject({
      files: ['adapter_config.json', 'adapter_model.safetensors'],
      why: { 'adapter_model.bin': 'adapter_model.safetensors is taken' },
    });
    expect(plan([...names, 'config.json', 'model.safetensors'])).toMatchObject({
      kind: 'safetensors',
      files: ['adapter_config.json', 'adapter_model.safetensors', 'config.json', 'model.safetensors'],
    });
  });
});

describe('GGUF files', () => {
  it.each([
    [['m.Q8_0.gguf', 'm.Q4_0.gguf', 'm.Q4_K_M.gguf', 'm.Q4_K_S.gguf'], 'm.Q4_K_M.gguf'],
    [['m-f16.gguf', 'm-q4_0.gguf', 'm-q2_k.gguf'], 'm-q4_0.gguf'],
    [['M-IQ4_NL.gguf', 'M-Q5_K_M.gguf'], 'M-IQ4_NL.gguf'],
    [['sub/m.Q4_K_M.gguf', 'm.Q4_K_M.gguf'], 'm.Q4_K_M.gguf'],
    [['Q4_K_M/m-Q4_K_M.gguf', 'Q8_0/m-Q8_0.gguf'], 'Q4_K_M/m-Q4_K_M.gguf'],
    [['m.Q8_0.gguf', 'm-Q4_K_M-00001-of-00002.gguf', 'm-Q4_K_M-00002-of-00002.gguf'], 'm.Q8_0.gguf'],
    [['anything.gguf', 'mmproj-f16.gguf'], 'anything.gguf'],
  ])('of %j one is taken: %s', (names, wanted) => {
    const made = plan([...names, 'config.json', 'README.md']);
    expect(made).toMatchObject({ kind: 'gguf', files: ['README.md', wanted].sort() });
    for (const name of names) if (name !== wanted) expect(made.why[name]).toContain(wanted);
  });

  it('in parts come together when there is nothing else', () => {
    const parts = shards('m-Q4_K_M', 'gguf', 3);
    expect(plan([...parts, ...shards('m-Q8_0', 'gguf', 2)]).files).toEqual(parts);
  });
});

describe('patterns', () => {
  const names = [
    'config.json',
    'model.safetensors',
    'm.Q8_0.gguf',
    'm.Q4_0.gguf',
    'original/params.json',
    'a/b/c.json',
  ];

  it('decide alone when files are named', () => {
    expect(plan(names, { include: ['*Q8_0.gguf'] })).toMatchObject({
      kind: 'files',
      files: ['m.Q8_0.gguf'],
      why: { 'model.safetensors': 'matches no --include' },
    });
    expect(plan(names, { include: ['*.json'], exclude: ['a/*'] })).toMatchObject({
      files: ['config.json', 'original/params.json'],
      why: { 'a/b/c.json': 'matches --exclude' },
    });
    expect(plan(names, { include: ['original/'] }).files).toEqual(['original/params.json']);
  });

  it('leave the choice to us when files are only excluded', () => {
    expect(plan(names, { exclude: ['*.safetensors'] })).toMatchObject({ kind: 'gguf', files: ['m.Q4_0.gguf'] });
  });

  it('that match nothing are an error that shows what there is', () => {
    expect(() => plan(names, { include: ['*.pth'] })).toThrow(
      expect.objectContaining({ code: 'NO_MATCH', exitCode: 2, hint: expect.stringContaining('model.safetensors') }),
    );
    expect(() => plan(names, { exclude: ['*'] })).toThrow(expect.objectContaining({ code: 'NO_MATCH' }));
  });

  // Expected values: Python's fnmatch.fnmatchcase.
  it.each<[string, string, boolean]>([
    ['*.json', 'a/b/c.json', true],
    ['*.json', 'c.jsonl', false],
    ['?.json', 'c.json', true],
    ['?.json', 'cc.json', false],
    ['model-0000[1-3]*', 'model-00002-of-9', true],
    ['model-0000[1-3]*', 'model-00004-of-9', false],
    ['[!a]b', 'ab', false],
    ['[!a]b', 'cb', true],
    ['[]]x', ']x', true],
    ['[!]]x', ']x', false],
    ['[z-a]', 'm', false],
    ['[a-]', '-', true],
    ['[^a]', '^', true],
    ['[abc', '[abc', true],
    ['a.b', 'axb', false],
    ['(a|b)+', '(a|b)+', true],
    ['**', 'x/y', true],
    ['*.JSON', 'a.json', false],
    ['a\nb', 'a\nb', true],
    ['?', '\n', true],
  ])('%j and %j: %s', (pattern, name, matches) => {
    expect(fnmatch(pattern).test(name)).toBe(matches);
  });
});

it('takes all of a data set, and of a known model what its list names', () => {
  const rows = ['README.md', 'data/train.jsonl', '.gitattributes'];
  expect(plan(rows, { repoType: 'dataset' })).toMatchObject({ kind: 'files', files: [...rows].sort(), why: {} });
  const made = plan(['config.json', 'model.safetensors', 'USE_POLICY.md'], { files: ['config.json', '*.safetensors'] });
  expect(made).toMatchObject({
    files: ['config.json', 'model.safetensors'],
    why: { 'USE_POLICY.md': 'is not needed' },
  });
});

it('fetches the smallest first, and needs a hash for every wanted file', () => {
  const { files } = planFiles('a/b', listing(['model.safetensors', 'config.json', 'README.md']));
  expect(files.map((file) => file.size)).toEqual([998, 999, 1000]);
  const siblings = [{ rfilename: 'model.safetensors', size: 5 }];
  const without = parseListing('a/b', { sha: 'a'.repeat(40), siblings });
  expect(() => planFiles('a/b', without)).toThrow(expect.objectContaining({ code: 'HUB_BAD_ANSWER' }));
});
