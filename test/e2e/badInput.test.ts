// What users get wrong, one by one: the exit code, one clear line, and nothing left behind.
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { encodeSafetensors } from '../../src/formats/index.ts';
import { configFromJson, loraLayout } from '../../src/models/index.ts';
import { saveAdapter } from '../../src/models/node.ts';
import { expectOneError, runCli, treeOf } from '../helpers/runCli.ts';
import { tinyGguf } from '../helpers/tinyGguf.ts';
import { temporaryFolder, tinyConfigs, tinyModel, writeTinyModel } from '../helpers/tinyModel.ts';
import { lora, randomParams } from '../helpers/tinyRun.ts';

const folder = temporaryFolder();
const shared = join(folder.path, 'shared');
const tiny = tinyModel();
const row = (n: number) => ({ instruction: `Write ${n}.`, input: '', output: `It is ${n}.` });
const goodRows = Array.from({ length: 12 }, (_, i) => `${JSON.stringify(row(i))}\n`).join('');

beforeAll(async () => {
  writeTinyModel(join(shared, 'tiny'), tiny);
  const config = configFromJson('config.json', { model_type: 'llama', ...tinyConfigs.untied });
  const layout = loraLayout(config, lora({ targetModules: ['q_proj'] }));
  await saveAdapter(join(shared, 'foreign'), { layout, params: randomParams(layout), baseModel: 'someone/else' });
});
afterAll(() => folder.remove());

let next = 0;

/** A folder of its own with the model and good rows in it, to be spoiled. */
function workplace(): string {
  const cwd = join(folder.path, `work-${next++}`);
  mkdirSync(cwd);
  for (const name of ['tiny', 'foreign']) symlinkSync(join(shared, name), join(cwd, name));
  writeFileSync(join(cwd, 'rows.jsonl'), goodRows);
  return cwd;
}

interface Case {
  /** Spoils something. */
  spoil?: (cwd: string) => void;
  args: string | string[];
  code: 1 | 2;
  message: RegExp;
}

async function check({ spoil, args, code, message }: Case) {
  const cwd = workplace();
  spoil?.(cwd);
  const before = treeOf(cwd);
  const result = await runCli(typeof args === 'string' ? args.split(' ') : args, { cwd });
  expectOneError(result, code, message);
  const after = treeOf(cwd);
  for (const path of Object.keys({ ...before, ...after })) {
    if (before[path] !== after[path]) throw new Error(`${path} was ${before[path] ? 'changed' : 'left behind'}`);
  }
  rmSync(cwd, { recursive: true });
}

const cases = (name: string, list: Record<string, Case>) =>
  describe.concurrent(name, () => {
    for (const [title, c] of Object.entries(list)) it(title, () => check(c));
  });

const train = 'train --data-path rows.jsonl --output-dir out --base-model tiny';

/** A copy of the model with something changed. */
const spoiltModel = (change: (path: string) => void) => (cwd: string) => {
  rmSync(join(cwd, 'tiny'));
  cpSync(join(shared, 'tiny'), join(cwd, 'tiny'), { recursive: true });
  change(join(cwd, 'tiny'));
};
const weights = (path: string) => join(path, 'model.safetensors');
const withWeights = (change: (bytes: Buffer) => Uint8Array) =>
  spoiltModel((path) => writeFileSync(weights(path), change(readFileSync(weights(path)))));
const headerLength = (length: bigint) =>
  withWeights((bytes) => {
    bytes.writeBigUInt64LE(length, 0);
    return bytes;
  });
const withTensors = (change: (tensors: Map<string, { shape: number[]; data: Float32Array<ArrayBuffer> }>) => void) =>
  spoiltModel((path) => {
    const tensors = new Map(tiny.tensors);
    change(tensors);
    const all = [...tensors].map(([name, t]) => ({ name, dtype: 'F32' as const, ...t }));
    writeFileSync(weights(path), encodeSafetensors(all));
  });
const withConfig = (changes: Record<string, unknown>) =>
  spoiltModel((path) => {
    const file = join(path, 'config.json');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...changes }));
  });
const gguf = (length: number | undefined) => (cwd: string) =>
  writeFileSync(join(cwd, 'model.gguf'), tinyGguf(tiny).subarray(0, length));
const fixture = readFileSync(fileURLToPath(new URL('../fixtures/gguf/allTypes.gguf', import.meta.url)));
const onGguf = 'generate --base-model model.gguf Hello';

cases('a model', {
  'that is not there': { args: `${train} --base-model ./nope`, code: 1, message: /\.\/nope.*no such file/ },
  'whose name is mistyped': {
    args: `${train} --base-model smolm2-135m-instruct`,
    code: 1,
    message: /smolm2-135m-instruct.*no known model/,
  },
  'that is an empty folder': {
    spoil: (cwd) => mkdirSync(join(cwd, 'empty')),
    args: `${train} --base-model empty`,
    code: 1,
    message: /empty: holds no config\.json, no params\.json, and no \.gguf file/,
  },
  'without weights': {
    spoil: spoiltModel((path) => rmSync(weights(path))),
    args: train,
    code: 1,
    message: /tiny.*\[NO_WEIGHTS\]/,
  },
  'without a tokenizer': {
    spoil: spoiltModel((path) => rmSync(join(path, 'tokenizer.json'))),
    args: train,
    code: 1,
    message: /has neither tokenizer\.json nor tokenizer\.model/,
  },
  'with a broken tokenizer.json': {
    spoil: spoiltModel((path) => writeFileSync(join(path, 'tokenizer.json'), '{"model": ')),
    args: train,
    code: 1,
    message: /tokenizer\.json/,
  },
  'with truncated safetensors': {
    spoil: withWeights((bytes) => bytes.subarray(0, bytes.length - 1000)),
    args: train,
    code: 1,
    message: /model\.safetensors: tensor .* ends at byte \d+ of the data, but there are \d+ \[TRUNCATED\]/,
  },
  'with safetensors cut in the header': {
    spoil: withWeights((bytes) => bytes.subarray(0, 100)),
    args: train,
    code: 1,
    message: /needs bytes 8 to \d+, but the file has 100 \[TRUNCATED\]/,
  },
  'with empty safetensors': {
    spoil: withWeights(() => new Uint8Array()),
    args: train,
    code: 1,
    message: /model\.safetensors: is empty \[NOT_WEIGHTS\]/,
  },
  'with a header that claims more than the file': {
    spoil: headerLength(50_000_000n),
    args: train,
    code: 1,
    message: /needs bytes 8 to 50000008, but the file has \d+ \[TRUNCATED\]/,
  },
  'with a header that claims more than a header may have': {
    spoil: headerLength(1n << 60n),
    args: train,
    code: 1,
    message: /the header claims 1152921504606846976 bytes/,
  },
  'with a tensor of the wrong shape': {
    spoil: withTensors((t) => {
      t.set('model.layers.1.mlp.up_proj.weight', { shape: [64, 128], data: new Float32Array(64 * 128) });
    }),
    args: train,
    code: 1,
    message: /layers\.1\.mlp\.up_proj\.weight has shape \[64, 128\], the configuration asks for \[128, 64\]/,
  },
  'with a tensor missing': {
    spoil: withTensors((t) => t.delete('model.layers.0.self_attn.k_proj.weight')),
    args: train,
    code: 1,
    message: /has no tensor model\.layers\.0\.self_attn\.k_proj\.weight/,
  },
  'of another architecture': {
    spoil: withConfig({ model_type: 'gpt2' }),
    args: train,
    code: 1,
    message: /model_type is "gpt2"/,
  },
  'with heads that do not divide': {
    spoil: withConfig({ num_key_value_heads: 3 }),
    args: train,
    code: 1,
    message: /4 heads do not divide into 3/,
  },
  'with absurd sizes': {
    spoil: withConfig({ vocab_size: 1e12 }),
    args: train,
    code: 1,
    message: /vocabSize is 1000000000000/,
  },
  'with fewer rows than its tokenizer has tokens': {
    spoil: (cwd) => {
      withConfig({ vocab_size: 290 })(cwd);
      const tensors = new Map(tiny.tensors);
      const name = 'model.embed_tokens.weight';
      tensors.set(name, { shape: [290, 64], data: tensors.get(name)!.data.slice(0, 290 * 64) });
      const all = [...tensors].map(([name, t]) => ({ name, dtype: 'F32' as const, ...t }));
      writeFileSync(weights(join(cwd, 'tiny')), encodeSafetensors(all));
    },
    args: train,
    code: 1,
    message: /rows\.jsonl:\d+: has the token ".*" \(id 29\d\), but tiny knows 290 tokens/,
  },
  'as GGUF, cut in the header': {
    spoil: gguf(300),
    args: onGguf,
    code: 1,
    message: /model\.gguf.*\[TRUNCATED\]/,
  },
  'as GGUF, cut in the data': { spoil: gguf(200_000), args: onGguf, code: 1, message: /model\.gguf.*\[TRUNCATED\]/ },
  'as GGUF of nothing': { spoil: gguf(0), args: onGguf, code: 1, message: /model\.gguf: is empty \[NOT_WEIGHTS\]/ },
  'as GGUF by another writer, cut': {
    spoil: (cwd) => writeFileSync(join(cwd, 'model.gguf'), fixture.subarray(0, fixture.length - 10)),
    args: onGguf,
    code: 1,
    message: /model\.gguf.*\[TRUNCATED\]/,
  },
  'as GGUF without a model in it': {
    spoil: (cwd) => writeFileSync(join(cwd, 'model.gguf'), fixture),
    args: onGguf,
    code: 1,
    message: /model\.gguf: .*\[BAD_MODEL_CONFIG\]/,
  },
  'that is not GGUF': {
    spoil: (cwd) => writeFileSync(join(cwd, 'model.gguf'), goodRows),
    args: onGguf,
    code: 1,
    message: /model\.gguf.*\[BAD_GGUF\]/,
  },
});

const withRows = (text: string | Uint8Array) => (cwd: string) => writeFileSync(join(cwd, 'rows.jsonl'), text);
const lines = goodRows.split('\n');

cases('data', {
  'that is not there': {
    args: train.replace('rows.jsonl', 'nope.json'),
    code: 1,
    message: /nope\.json: no such file/,
  },
  'that is a folder': { args: train.replace('rows.jsonl', 'foreign'), code: 1, message: /foreign: is not a file/ },
  'with a broken line': {
    spoil: withRows([...lines.slice(0, 2), '{"instruction": "a", "output": }', ...lines.slice(2)].join('\n')),
    args: train,
    code: 1,
    message: /rows\.jsonl:3:32: broken JSON/,
  },
  'cut in a list': {
    spoil: withRows(`[\n${lines.slice(0, 3).join(',\n')},\n{"instruction": "a`),
    args: train,
    code: 1,
    message: /rows\.jsonl:5:\d+: broken JSON.*end of the file/,
  },
  'with other keys': {
    spoil: withRows('{"prompt": "a", "completion": "b"}\n'),
    args: train,
    code: 1,
    message: /rows\.jsonl:1: the row has no "instruction"; its keys are "prompt", "completion"/,
  },
  'that is empty': { spoil: withRows(''), args: train, code: 1, message: /rows\.jsonl: holds no rows/ },
  'that is an empty list': { spoil: withRows('[]'), args: train, code: 1, message: /rows\.jsonl: holds no rows/ },
  'that is not text': {
    spoil: withRows(new Uint8Array([0x5b, 0xff, 0xfe, 0x5d])),
    args: train,
    code: 1,
    message: /rows\.jsonl: is not UTF-8 text/,
  },
  'without anything to learn': {
    spoil: withRows('{"instruction": "a", "output": ""}\n{"instruction": "b", "output": "\\n"}\n'),
    args: `${train} --val-set-size 0`,
    code: 1,
    message: /rows\.jsonl: no row is left to train on/,
  },
  'whose prompts fill the cutoff': { args: `${train} --cutoff-len 8`, code: 1, message: /no row is left to train on/ },
  'that all goes to validation': {
    args: `${train} --val-set-size 12`,
    code: 2,
    message: /validation set would take 12 rows, but there are only 12/,
  },
  'longer than a pack': { args: `${train} --pack-len 20`, code: 1, message: /has \d+ tokens, but a pack holds 20/ },
});

cases('settings', {
  'with an unknown target module': {
    args: `${train} --lora-target-modules q_prj,v_proj`,
    code: 2,
    message: /unknown target module "q_prj"/,
  },
  'with lora_r 0': { args: `${train} --lora-r 0`, code: 2, message: /lora_r is "0"/ },
  'with half a rank': { args: `${train} --lora-r 2.5`, code: 2, message: /lora_r is "2\.5"/ },
  'with a cutoff beyond the model': {
    args: `${train} --cutoff-len 513`,
    code: 2,
    message: /cutoff_len is 513, but tiny has 512 positions/,
  },
  'with an output folder that exists': {
    spoil: (cwd) => {
      mkdirSync(join(cwd, 'out'));
      writeFileSync(join(cwd, 'out', 'precious.txt'), 'x');
    },
    args: train,
    code: 2,
    message: /out exists already/,
  },
  'with an output folder inside a file': {
    // The folder is made after the model was loaded, and what was loaded may be kept for the next start.
    args: train.replace('--output-dir out', '--output-dir rows.jsonl/out --no-quantised-cache'),
    code: 1,
    message: /rows\.jsonl\/out/,
  },
  'without a model': {
    args: 'train --data-path rows.jsonl',
    code: 2,
    message: /base_model is missing/,
  },
  'with an unknown recipe': { args: `${train} --recipe alpaka`, code: 2, message: /unknown recipe "alpaka"/ },
  'with a recipe that is a folder': { args: `${train} --recipe foreign`, code: 1, message: /foreign/ },
  'with a config that is not there': { args: `${train} --config my.yaml`, code: 2, message: /my\.yaml: no such/ },
  'with an unknown key in a config': {
    spoil: (cwd) => writeFileSync(join(cwd, 'my.yaml'), '# mine\nlora_r: 8\n\nlora_rank: 8\n'),
    args: `${train} --config my.yaml`,
    code: 2,
    message: /my\.yaml:4: unknown key "lora_rank"/,
  },
  'with broken YAML': {
    spoil: (cwd) => writeFileSync(join(cwd, 'my.yaml'), 'lora_r: 8\nseed: [1\n'),
    args: `${train} --config my.yaml`,
    code: 2,
    message: /my\.yaml:\d: /,
  },
  'with a config that is a list': {
    spoil: (cwd) => writeFileSync(join(cwd, 'my.yaml'), '- 1\n'),
    args: `${train} --config my.yaml`,
    code: 2,
    message: /my\.yaml: holds no "key: value" lines/,
  },
  'with an unknown template': {
    args: `${train} --prompt-template-name alpca`,
    code: 2,
    message: /no prompt template "alpca".*alpaca_short/,
  },
  'with a broken template': {
    spoil: (cwd) => writeFileSync(join(cwd, 'mine.json'), '{"prompt_input": "x"}'),
    args: `${train} --prompt-template-name mine.json`,
    code: 1,
    message: /mine\.json: /,
  },
  'with an unknown flag': { args: `${train} --lora-rank 8`, code: 2, message: /unknown option '--lora-rank'/ },
  'with an unknown command': { args: 'trian', code: 2, message: /unknown command 'trian'/ },
  'with an unknown format': { args: '--format xml list', code: 2, message: /xml/ },
});

const bad = (flag: string, value: string, message = new RegExp(flag.slice(2).replaceAll('-', '[_-]'))): Case => ({
  args: [...train.split(' '), flag, value],
  code: 2,
  message,
});

cases('numbers that are none', {
  'a learning rate of NaN': bad('--learning-rate', 'NaN'),
  'a learning rate beyond all numbers': bad('--learning-rate', '1e999'),
  'a learning rate of nothing': bad('--learning-rate', ''),
  'a learning rate in words': bad('--learning-rate', 'fast'),
  'a learning rate below 0': bad('--learning-rate', '-1e-4'),
  'epochs of Infinity': bad('--num-epochs', 'Infinity'),
  'a batch of 3.5': bad('--batch-size', '3.5'),
  'a dropout of 1': bad('--lora-dropout', '1'),
  'a seed of x': bad('--seed', 'x'),
  'a rank that is a switch': {
    spoil: (cwd) => writeFileSync(join(cwd, 'my.yaml'), 'lora_r: true\n'),
    args: `${train} --config my.yaml`,
    code: 2,
    message: /lora_r is true/,
  },
  'steps that are a list': {
    spoil: (cwd) => writeFileSync(join(cwd, 'my.yaml'), 'eval_steps: []\n'),
    args: `${train} --config my.yaml`,
    code: 2,
    message: /eval_steps is \[\]/,
  },
  'a validation set of nothing': bad('--val-set-size', ''),
  'threads that are none': bad('--threads', '0'),
  'threads beyond all machines': bad('--threads', '100000'),
});

const generate = 'generate --base-model tiny --max-new-tokens 4';

cases('asking', {
  'with top_k but greedily': { args: `${generate} --top-k 5 Hello`, code: 2, message: /no effect at temperature 0/ },
  'with top_p but greedily': { args: `${generate} --top-p 0.9 Hello`, code: 2, message: /no effect at temperature 0/ },
  'with a top_p of 2': { args: `${generate} --temperature 1 --top-p 2 Hello`, code: 2, message: /top_p is 2/ },
  'with a temperature of NaN': { args: `${generate} --temperature NaN Hello`, code: 2, message: /--temperature/ },
  'with a temperature below 0': { args: `${generate} --temperature -1 Hello`, code: 2, message: /temperature is -1/ },
  'for half a token': {
    args: 'generate --base-model tiny --max-new-tokens 0.5 Hello',
    code: 2,
    message: /max-new-tokens is 0\.5/,
  },
  'for more tokens than there are positions': {
    // Found out after the model was loaded, and what was loaded may be kept for the next start.
    args: 'generate --base-model tiny --max-new-tokens 512 --no-quantised-cache Hello',
    code: 1,
    message: /need \d+ positions, .*512/,
  },
  'with half a thread': { args: `${generate} --threads 1.5 Hello`, code: 2, message: /threads/ },
  'with fewer than no threads': { args: `${generate} --threads -1 Hello`, code: 2, message: /threads/ },
  'with too many threads': { args: `${generate} --threads 100000 Hello`, code: 2, message: /threads/ },
  'with no threads': { args: `${generate} --threads 0 Hello`, code: 2, message: /threads/ },
  'with a seed between two': { args: `${generate} --seed 0.5 Hello`, code: 2, message: /seed/ },
  'with an unknown precision': { args: `${generate} --precision int2 Hello`, code: 2, message: /int2/ },
  'with the adapter of another model': {
    args: `${generate} --adapter foreign Hello`,
    code: 1,
    message: /lora_A\.weight has shape \[3, 48\], this model needs \[3, 64\]/,
  },
  'with an adapter that is not there': {
    args: `${generate} --adapter nope Hello`,
    code: 1,
    message: /nope: has no adapter_config\.json/,
  },
  'without a question': { args: generate, code: 2, message: /there is no instruction/ },
  'to compare without an adapter': { args: 'compare Hello', code: 2, message: /compare needs --adapter/ },
  'to compare no questions': { args: 'compare --adapter foreign', code: 2, message: /no question/ },
  'to compare so many rows': {
    args: 'compare --adapter foreign --data-path rows.jsonl --limit many',
    code: 2,
    message: /limit/,
  },
  'with a template that the model has not': {
    spoil: spoiltModel((path) => rmSync(join(path, 'tokenizer_config.json'))),
    args: `${generate} --prompt-template-name chat Hello`,
    code: 1,
    message: /no chat template/,
  },
});
