// The command line from outside: what it writes, what it prints where, and how it ends.
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configFromJson } from '../../src/models/index.ts';
import { openAdapter } from '../../src/models/node.ts';
import { type CliOptions, expectOneError, runCli, runShell, treeOf } from '../helpers/runCli.ts';
import { temporaryFolder, tinyConfigs, tinyModel, writeTinyModel } from '../helpers/tinyModel.ts';

const folder = temporaryFolder();
const cwd = folder.path;
const cli = (args: string, options: Partial<CliOptions> = {}) => runCli(args.split(' '), { cwd, ...options });
const model = configFromJson('config.json', { model_type: 'llama', ...tinyConfigs.tied });
const jsonLines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

const training = '--base-model tiny --data-path rows.jsonl --prompt-template-name alpaca_short --threads 1';
/** Enough to leave B with something in it. */
const short = `${training} --num-epochs 2 --batch-size 4 --learning-rate 0.01 --lora-r 4`;

beforeAll(async () => {
  writeTinyModel(join(cwd, 'tiny'), tinyModel());
  const numbers = 'one two three four five six seven eight nine ten eleven twelve'.split(' ');
  const rows = numbers.map((word, i) => ({
    instruction: `Write ${i + 1} in letters.`,
    input: i % 3 === 0 ? 'English' : '',
    output: `It is ${word}.`,
  }));
  writeFileSync(join(cwd, 'rows.jsonl'), rows.map((r) => `${JSON.stringify(r)}\n`).join(''));
  trained = await cli(`train ${short} --output-dir run`);
});
afterAll(() => folder.remove());
let trained: Awaited<ReturnType<typeof cli>>;

describe('train', () => {
  it('prints the adapter on stdout and everything else on stderr', () => {
    expect(trained).toMatchObject({ code: 0, stdout: 'run/adapter\n' });
    expect(trained.stderr).toMatch(/11 rows, \d+ tokens, 1 held out/);
    expect(trained.stderr).toMatch(/step 6\/6 {2}loss/);
    expect(trained.stderr).toMatch(/held-out loss \d\.\d+ before, \d\.\d+ after/);
    expect(trained.stderr).not.toMatch(/warning|error/);
  });

  it('leaves a run folder with settings, metrics and adapter, and nothing else', () => {
    expect(Object.keys(treeOf(join(cwd, 'run'))).sort()).toEqual([
      'adapter/',
      'adapter/adapter_config.json',
      'adapter/adapter_model.safetensors',
      'adapter/huacaya.json',
      'config.yaml',
      'metrics.jsonl',
    ]);
    const metrics = jsonLines(readFileSync(join(cwd, 'run', 'metrics.jsonl'), 'utf8'));
    expect(metrics.map((m) => `${m.type} ${m.step}`)).toEqual([
      'heldOut 0',
      ...[1, 2, 3, 4, 5, 6].map((n) => `step ${n}`),
      'heldOut 6',
    ]);
    for (const m of metrics) expect(Number.isFinite(m.loss)).toBe(true);
    expect(metrics.at(-1).loss).toBeLessThan(metrics[0].loss);
  });

  it('writes settings that repeat the run bit for bit', async () => {
    const settings = parse(readFileSync(join(cwd, 'run', 'config.yaml'), 'utf8'));
    expect(settings).toMatchObject({ base_model: 'tiny', lora_r: 4, learning_rate: 0.01, output_dir: 'run' });
    const again = await cli('train --config run/config.yaml --output-dir again');
    expect(again.code).toBe(0);
    const weights = (run: string) => readFileSync(join(cwd, run, 'adapter', 'adapter_model.safetensors'));
    expect(weights('again').equals(weights('run'))).toBe(true);
    const other = await cli('train --config run/config.yaml --output-dir other --seed 43');
    expect(other.code).toBe(0);
    expect(weights('other').equals(weights('run'))).toBe(false);
  });

  it('understands the flags of alpaca-lora', async () => {
    const result = await cli(
      'finetune --base_model tiny --data_path rows.jsonl --output_dir classic --num_epochs 1 --batch_size 6 ' +
        "--lora_target_modules ['q_proj','v_proj'] --val_set_size 2 --train_on_inputs true --prompt_template_name alpaca_short",
    );
    expect(result).toMatchObject({ code: 0, stdout: 'classic/adapter\n' });
    const { layout } = await openAdapter(join(cwd, 'classic'), model);
    expect(layout.config.targetModules).toEqual(['q_proj', 'v_proj']);
  });

  it('with --dry-run shows the settings and writes nothing', async () => {
    const before = treeOf(cwd);
    const result = await cli(`train ${short} --output-dir dry --dry-run`);
    expect(result.code).toBe(0);
    expect(parse(result.stdout)).toMatchObject({ base_model: 'tiny', lora_r: 4, precision: 'int8' });
    const asJson = await cli(`--format json train ${short} --output-dir dry --dry-run`);
    expect(asJson.code).toBe(0);
    expect(jsonLines(asJson.stdout)).toEqual([expect.objectContaining({ base_model: 'tiny', lora_r: 4 })]);
    expect(treeOf(cwd)).toEqual(before);
  });

  it('with --profile says where the time goes, and trains the same adapter', async () => {
    const result = await cli(`train ${short} --output-dir profiled --profile`);
    expect(result).toMatchObject({ code: 0, stdout: 'profiled/adapter\n' });
    expect(result.stderr).toMatch(/^profile {3}5 steps after 1 of warm-up: .* int8, 1 thread$/m);
    for (const part of ['before attention', 'attention', 'after attention', 'head and loss', 'gather, scatter']) {
      expect(result.stderr).toMatch(new RegExp(`^${part} +[\\d.]+ +[\\d.]+ % +\\d+ +[\\d.]+$`, 'm'));
    }
    expect(result.stderr).toMatch(/^MatMulIntegerToFloat +[\d.]+ +[\d.]+ % +\d+ +[\d.]+$/m);
    expect(result.stderr).toMatch(/^matrix products [\d.]+ %, everything else [\d.]+ %, outside the engine [\d.]+ %$/m);
    expect(result.stderr).toMatch(
      /^[\d.]+ GFLOP\/s, [\d.]+ % of the ceiling measured here \(fp32 \d+, int8 \d+ GFLOP\/s\)$/m,
    );
    expect(result.stderr.indexOf('profile ')).toBeGreaterThan(result.stderr.indexOf('step 6/6'));

    const report = JSON.parse(readFileSync(join(cwd, 'profiled', 'profile.json'), 'utf8'));
    expect(report).toMatchObject({ precision: 'int8', threads: 1, steps: 5, warmUpSteps: 1, lostRuns: 0 });
    const shares = Object.values<number>(report.shares);
    expect(shares.reduce((a, b) => a + b, 0)).toBeCloseTo(1);
    for (const share of shares) expect(share).toBeGreaterThan(0);
    expect(report.ceiling.fp32).toBeGreaterThan(report.gflops);
    expect(report.programs.map((p: { name: string }) => p.name)).not.toContainEqual(
      expect.stringMatching(/plain|lossOnly/),
    );

    const weights = (run: string) => readFileSync(join(cwd, run, 'adapter', 'adapter_model.safetensors'));
    expect(weights('profiled').equals(weights('run'))).toBe(true);
  });

  it('profiles the only step of a run, in JSON', async () => {
    const result = await cli(`--format json train ${short} --output-dir profiledJson --profile --max-steps 1`);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const { type, ...report } = jsonLines(result.stdout).find((l) => l.type === 'profile');
    expect({ type, ...report }).toMatchObject({ type: 'profile', steps: 1, warmUpSteps: 0 });
    expect(JSON.parse(readFileSync(join(cwd, 'profiledJson', 'profile.json'), 'utf8'))).toEqual(report);
  });

  it('refuses a folder that exists, and changes nothing in it', async () => {
    const before = treeOf(cwd);
    const result = await cli(`train ${short} --output-dir run --seed 9`);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toMatch(/^error run exists already/m);
    expect(treeOf(cwd)).toEqual(before);
  });

  it('replaces it with --overwrite', async () => {
    const weights = () => treeOf(join(cwd, 'again'))['adapter/adapter_model.safetensors'];
    const before = weights();
    const result = await cli(`train ${short} --output-dir again --seed 9 --overwrite`);
    expect(result.code).toBe(0);
    expect(weights()).not.toBe(before);
    expect(jsonLines(readFileSync(join(cwd, 'again', 'metrics.jsonl'), 'utf8'))).toHaveLength(8);
  });

  it('in JSON prints one object a line and no talk', async () => {
    const result = await cli(`--format json train ${short} --output-dir json --eval-steps 3`);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const lines = jsonLines(result.stdout);
    expect(lines[0]).toMatchObject({ type: 'start', totalSteps: 6 });
    expect(lines.filter((l) => l.type === 'step')).toHaveLength(6);
    expect(lines.filter((l) => l.type === 'heldOut').map((l) => l.step)).toEqual([0, 3, 6]);
    expect(lines.at(-1)).toMatchObject({ type: 'done', adapter: 'json/adapter', steps: 6, stopped: false });
  });

  it('warns of rows that it skips or cuts, by line', async () => {
    const rows = ['{"instruction":"a","output":"b"}', '', '{"instruction":"c","output":" "}'];
    writeFileSync(join(cwd, 'gaps.jsonl'), `${rows.join('\n')}\n`);
    appendFileSync(join(cwd, 'gaps.jsonl'), `{"instruction":"d","output":"${'long '.repeat(60)}"}\n`);
    const flags = '--val-set-size 0 --cutoff-len 64 --output-dir gaps';
    const result = await cli(`--format quiet train ${short.replace('rows.jsonl', 'gaps.jsonl')} ${flags}`);
    expect(result).toMatchObject({ code: 0, stdout: '' });
    expect(result.stderr.trimEnd().split('\n')).toEqual([
      'warning gaps.jsonl:3: row skipped: the output is empty',
      'warning gaps.jsonl: 1 rows (50 %) are longer than cutoff_len 64: cut, and without an end token',
    ]);
  });
});

describe('when the disk fails', () => {
  it('training goes on without its log, and warns once', async () => {
    const metrics = join(cwd, 'unlogged', 'metrics.jsonl');
    let replaced = false;
    const replaceLog = () => {
      if (!replaced && existsSync(metrics)) {
        rmSync(metrics);
        mkdirSync(metrics);
        replaced = true;
      }
      return false;
    };
    const result = await cli(`train ${short} --num-epochs 20 --output-dir unlogged`, { interruptWhen: replaceLog });
    expect(result).toMatchObject({ code: 0, stdout: 'unlogged/adapter\n' });
    expect(result.stderr.match(/^warning .*metrics\.jsonl: .*no more metrics are written$/gm)).toHaveLength(1);
  });

  it.skipIf(!existsSync('/dev/full'))('a full stdout is one clear error', async () => {
    const result = await runShell(`list --help > /dev/full`, cwd);
    expectOneError(result, 1, /standard output: no space left/);
  });
});

it('learns the same from a pack length without a bound', async () => {
  const result = await cli(`train ${short} --output-dir wide --pack-len 1e12`);
  expect(result.code).toBe(0);
});

it('fails, and saves no adapter, when the model is broken at the end', async () => {
  const result = await cli(`train ${training} --num-epochs 1 --learning-rate 1e20 --output-dir diverged`);
  expectOneError(result, 1, /after step 1 the model is broken/);
  expect(existsSync(join(cwd, 'diverged', 'adapter'))).toBe(false);
});

describe('an interrupt', () => {
  const metricsOf = (run: string) => join(cwd, run, 'metrics.jsonl');
  const hasStep = (run: string) => () =>
    existsSync(metricsOf(run)) && readFileSync(metricsOf(run), 'utf8').includes('"type":"step"');

  it('during training saves what was learnt and exits with 130', async () => {
    const flags = '--num-epochs 100000 --val-set-size 0 --learning-rate 0.01 --warmup-steps 0 --output-dir stopped';
    const result = await cli(`train ${training} ${flags}`, { interruptWhen: hasStep('stopped') });
    expect(result).toMatchObject({ code: 130, stdout: 'stopped/adapter\n' });
    expect(result.stderr).toMatch(/stopped after step \d+ of 100000; the adapter so far is saved/);
    const { params } = await openAdapter(join(cwd, 'stopped'), model);
    expect(params.some((p) => p !== 0)).toBe(true);
    const metrics = jsonLines(readFileSync(metricsOf('stopped'), 'utf8'));
    expect(result.stderr).toContain(`stopped after step ${metrics.at(-1).step} `);
  });

  it('before anything was learnt exits with 130, saves no adapter and says so', async () => {
    // As in the first update of a warm-up, whose rate is 0: nothing moves.
    const flags = '--num-epochs 100000 --val-set-size 0 --learning-rate 1e-45 --output-dir early';
    const result = await cli(`train ${training} ${flags}`, { interruptWhen: hasStep('early') });
    expect(result).toMatchObject({ code: 130, stdout: '' });
    expect(result.stderr).toMatch(/no adapter is saved/);
    expect(result.stderr).not.toMatch(/^error/m);
    expect(existsSync(join(cwd, 'early', 'adapter'))).toBe(false);
  });
});

const asking = '--adapter run --max-new-tokens 12 --threads 1';

describe('generate', () => {
  it('answers with a merged adapter as with one that is beside the model', async () => {
    const same = '--base-model tiny --precision fp32 --max-new-tokens 12 --threads 1 Write';
    const beside = await cli(`generate --adapter run ${same}`);
    const merged = await cli(`generate --merge-adapter run ${same}`);
    expect(merged).toMatchObject({ code: 0, stdout: beside.stdout });
    // It changes something: the model without it answers otherwise.
    const plain = await cli(`generate --prompt-template-name alpaca_short ${same}`);
    expect(plain.stdout).not.toBe(beside.stdout);
    expectOneError(await cli(`generate --merge-adapter nowhere ${same}`), 1, /nowhere/);
  });

  it('prints the answer on stdout, the rest on stderr', async () => {
    const result = await cli(`generate ${asking} Hello`);
    expect(result.code).toBe(0);
    expect(result.stdout.endsWith('\n')).toBe(true);
    expect(result.stderr).toMatch(/^tiny \+ run, template alpaca_short, greedy$/m);
    expect(result.stderr).toMatch(/^\d+ \+ \d+ tokens, .*ended by (eos|length|stop)$/m);
    const quiet = await cli(`--format quiet generate ${asking} Hello`);
    expect(quiet).toEqual({ code: 0, stdout: result.stdout, stderr: '' });
  });

  it('in JSON prints one object', async () => {
    const human = await cli(`generate ${asking} Hello`);
    const result = await cli(`--format json generate ${asking} Hello`);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const [line, ...rest] = jsonLines(result.stdout);
    expect(rest).toEqual([]);
    expect(line).toMatchObject({ instruction: 'Hello', finish: expect.any(String), tokens: expect.any(Number) });
    expect(`${line.text}\n`).toBe(human.stdout);
  });

  it('samples by the seed', async () => {
    const draw = async (seed: number) =>
      (await cli(`--format json generate ${asking} --temperature 1.5 --top-k 50 --seed ${seed} Hello`)).stdout;
    const [first, again, other] = [await draw(1), await draw(1), await draw(2)];
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  it('works from the base model alone, and from an adapter in another folder', async () => {
    const base = await cli('generate --base-model tiny --max-new-tokens 3 --input word Hello');
    expect(base.code).toBe(0);
    expect(base.stderr).toContain('template chat');
    const result = await cli('generate --adapter run/adapter --base-model tiny --max-new-tokens 3 Hello');
    expect(result.code).toBe(0);
  });
});

describe('compare', () => {
  it('shows both answers', async () => {
    const result = await cli(`compare ${asking} Hello Bye`);
    expect(result.code).toBe(0);
    expect(result.stdout).toMatch(/^> Hello\n\nbase +\| run\n/);
    expect(result.stdout).toMatch(/^> Bye$/m);
  });

  it('in JSON prints an object a question, from a data file too', async () => {
    const result = await cli(`--format json compare ${asking} --data-path rows.jsonl --limit 2 Hello`);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const lines = jsonLines(result.stdout);
    expect(lines.map((l) => [l.instruction, l.input])).toEqual([
      ['Hello', ''],
      ['Write 1 in letters.', 'English'],
      ['Write 2 in letters.', ''],
    ]);
    for (const l of lines) {
      const answer = (model: string) => expect.objectContaining({ model, text: expect.any(String) });
      expect(l.answers).toEqual([answer('tiny'), answer('run')]);
    }
    expect(lines.some((l) => l.answers[0].text !== l.answers[1].text)).toBe(true);
  });
});

describe('chat', () => {
  const chat = '--base-model tiny --max-new-tokens 6 --threads 1';

  it('answers each line of stdin on stdout', async () => {
    const result = await cli(`chat ${chat}`, { stdin: 'Hello\n\n/what\n/clear\nHello\n' });
    expect(result.code).toBe(0);
    // Forgotten in between, the same question has the same answer.
    const half = result.stdout.length / 2;
    expect(result.stdout.slice(0, half)).toMatch(/\n$/);
    expect(result.stdout.slice(half)).toBe(result.stdout.slice(0, half));
    expect(result.stderr.match(/ended by/g)).toHaveLength(2);
    expect(result.stderr).toContain('unknown command /what');
    expect(result.stderr).not.toContain('error');
  });

  it('remembers earlier turns, and leaves at /bye', async () => {
    const result = await cli(`chat ${chat}`, { stdin: 'Hello\nHello\n/bye\nHello\n' });
    expect(result.code).toBe(0);
    const prompts = [...result.stderr.matchAll(/(\d+) \+ \d+ tokens/g)].map((m) => Number(m[1]));
    expect(prompts).toHaveLength(2);
    const [first, second] = prompts;
    expect(second).toBeGreaterThan(first! + 10);
  });

  it('in JSON prints an object an answer', async () => {
    const result = await cli(`--format json chat ${chat}`, { stdin: 'Hello\nYes\n' });
    expect(result.code).toBe(0);
    expect(jsonLines(result.stdout).map((l) => l.message)).toEqual(['Hello', 'Yes']);
  });
});

it('shows help and version on stdout', async () => {
  const help = await cli('--help');
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(help.stdout).toMatch(/train.*\n.*generate/s);
  expect(await cli('--version')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});
