// huacaya generate over a file: answers in the order of the rows, a run that goes on where it was stopped, and what is
// wrong with a call said in one line before anything is changed.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configFromJson, loraLayout } from '../../src/models/index.ts';
import { saveAdapter } from '../../src/models/node.ts';
import { type CliOptions, expectOneError, runCli } from '../helpers/runCli.ts';
import { temporaryFolder, tinyConfigs, tinyModel, writeTinyModel } from '../helpers/tinyModel.ts';
import { lora, randomParams } from '../helpers/tinyRun.ts';

const folder = temporaryFolder();
const cwd = folder.path;
const cli = (args: string, options: Partial<CliOptions> = {}) => runCli(args.split(' '), { cwd, ...options });
const file = (name: string) => join(cwd, name);
const read = (name: string) => readFileSync(file(name), 'utf8');
const jsonLines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const generate = 'generate --base-model tiny --threads 1';
const batch = `${generate} --max-new-tokens 12 --data-path rows.jsonl`;
const rows = Array.from({ length: 7 }, (_, i) => ({
  instruction: `Write ${'very '.repeat(i % 3)}${i}.`,
  ...(i % 2 ? { input: 'English' } : {}),
  ...(i === 3 ? { output: 'three' } : {}),
}));
const writeRows = (name: string, list: readonly object[]) =>
  writeFileSync(file(name), list.map((r) => `${JSON.stringify(r)}\n`).join(''));

beforeAll(async () => {
  writeTinyModel(file('tiny'), tinyModel());
  const config = configFromJson('config.json', { model_type: 'llama', ...tinyConfigs.tied });
  const layout = loraLayout(config, lora({ targetModules: ['q_proj'] }));
  for (const [name, seed] of [
    ['one', 5],
    ['two', 6],
  ] as const) {
    await saveAdapter(file(name), { layout, params: randomParams(layout, seed), baseModel: 'tiny' });
  }
  writeRows('rows.jsonl', rows);
});
afterAll(() => folder.remove());

describe('a batch', () => {
  it('answers each row as it would be answered alone, in order', async () => {
    const result = await cli(`${batch} --output all.jsonl`);
    expect(result).toMatchObject({ code: 0, stdout: 'all.jsonl\n' });
    expect(result.stderr).toMatch(/^7\/7 rows {2}\d+ tok\/s {2}eta 0:00$/m);
    const lines = jsonLines(read('all.jsonl'));
    expect(lines.map((l) => [l.row, l.instruction, l.input])).toEqual(
      rows.map((r, i) => [i + 1, r.instruction, r.input ?? '']),
    );
    expect(lines[3].reference).toBe('three');
    for (const i of [0, 3]) {
      const input = rows[i]!.input ? ['--input', rows[i]!.input] : [];
      const alone = [...`--format json ${generate} --max-new-tokens 12`.split(' '), ...input, rows[i]!.instruction];
      const [one] = jsonLines((await runCli(alone, { cwd })).stdout);
      expect(lines[i].output).toBe(one.text);
    }
    expect(existsSync(file('all.jsonl.lock'))).toBe(false);
  });

  it('prints the lines where no file is named, from a list too', async () => {
    writeFileSync(file('rows.json'), JSON.stringify(rows));
    const result = await cli(`${generate} --max-new-tokens 12 --data-path rows.json --slots 3`);
    expect(result).toMatchObject({ code: 0, stdout: read('all.jsonl') });
  });

  it('does not depend on how many rows are answered at a time, sampling neither', async () => {
    const sampled = `${batch} --temperature 1.5 --seed 3`;
    const [one, many] = [await cli(`${sampled} --slots 1`), await cli(`${sampled} --slots 5`)];
    expect(many.code).toBe(0);
    expect(many.stdout).toBe(one.stdout);
    expect(one.stdout).not.toBe(read('all.jsonl'));
  });

  it('that is complete is not loaded again, and --limit loses nothing', async () => {
    const before = read('all.jsonl');
    for (const flags of ['', ' --limit 2']) {
      const result = await cli(`${batch} --output all.jsonl${flags}`);
      expect(result).toMatchObject({ code: 0, stdout: 'all.jsonl\n' });
      expect(result.stderr).not.toContain('loaded');
      expect(read('all.jsonl')).toBe(before);
    }
    await cli(`${batch} --output few.jsonl --limit 2`);
    expect(jsonLines(read('few.jsonl')).map((l) => l.row)).toEqual([1, 2]);
    const rest = await cli(`${batch} --output few.jsonl`);
    expect(rest.stderr).toMatch(/^5 of 7 rows answered, 2 were before$/m);
    expect(read('few.jsonl')).toBe(before);
  });

  it('in JSON prints one object when it is done', async () => {
    const result = await cli(`--format json ${batch} --output told.jsonl`);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(jsonLines(result.stdout)).toEqual([
      expect.objectContaining({ type: 'done', output: 'told.jsonl', rows: 7, answered: 7, skipped: 0, failed: 0 }),
    ]);
  });

  it('says which rows cannot be answered, answers the others, and tries those again', async () => {
    writeRows('long.jsonl', [rows[0]!, { instruction: 'long '.repeat(400) }, rows[2]!]);
    const call = `${generate} --max-new-tokens 12 --data-path long.jsonl --output long-out.jsonl`;
    const result = await cli(call);
    expectOneError(
      result.stdout === 'long-out.jsonl\n' ? { ...result, stdout: '' } : result,
      1,
      /1 of 3 rows could not/,
    );
    expect(result.stderr).toMatch(/^warning row 2: .*positions/m);
    expect(jsonLines(read('long-out.jsonl')).map((l) => l.row)).toEqual([1, 3]);
    writeRows('long.jsonl', [rows[0]!, rows[1]!, rows[2]!]);
    expect((await cli(call)).code).toBe(0);
    expect(jsonLines(read('long-out.jsonl')).map((l) => l.row)).toEqual([1, 2, 3]);
  });
});

describe('a batch that is stopped', () => {
  const many = Array.from({ length: 60 }, (_, i) => ({ instruction: `Question ${i}` }));
  const call = (output: string) => `${generate} --max-new-tokens 60 --data-path many.jsonl --output ${output}`;
  const linesOf = (name: string) => (existsSync(file(name)) ? read(name).split('\n').length - 1 : 0);
  beforeAll(async () => {
    writeRows('many.jsonl', many);
    expect((await cli(call('whole.jsonl'))).code).toBe(0);
  });

  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('by %s goes on, and ends up the same', async (signal) => {
    const output = `${signal}.jsonl`;
    const stopped = await cli(call(output), { signal, interruptWhen: () => linesOf(output) >= 3 });
    const before = linesOf(output);
    expect(before).toBeGreaterThanOrEqual(3);
    expect(before).toBeLessThan(60);
    if (signal !== 'SIGKILL') {
      expect(stopped.code).toBe(130);
      expect(stopped.stderr).toMatch(/rows answered, \d+ are left: the same call goes on$/m);
    }
    const resumed = await cli(call(output));
    expect(resumed.code).toBe(0);
    const done = jsonLines(read(output)).length - (60 - before);
    expect(resumed.stderr).toContain(`has the answers of ${done} rows`);
    expect(read(output)).toBe(read('whole.jsonl'));
  });

  it('in the middle of a line goes on too, with a warning', async () => {
    writeFileSync(file('torn.jsonl'), Buffer.from(read('whole.jsonl')).subarray(0, -40));
    const resumed = await cli(call('torn.jsonl'));
    expect(resumed.code).toBe(0);
    expect(resumed.stderr.match(/^warning .*$/gm)).toEqual([
      expect.stringMatching(/torn\.jsonl: the last line was cut/),
    ]);
    expect(read('torn.jsonl')).toBe(read('whole.jsonl'));
  });
});

describe('what decides an answer', () => {
  const one = async (flags: string) => {
    const result = await cli(`--format json ${generate} --max-new-tokens 12 ${flags} Hello`);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    return jsonLines(result.stdout)[0];
  };

  it('log-probabilities are those of the tokens', async () => {
    const { logprobs, tokens } = await one('--logprobs 2');
    expect(logprobs).toHaveLength(tokens);
    for (const { logprob, top } of logprobs) {
      expect(top).toHaveLength(2);
      expect(logprob).toBeCloseTo(top[0].logprob);
      expect(logprob).toBeLessThanOrEqual(0);
    }
  });

  it('a token that is forbidden does not come', async () => {
    const { logprobs } = await one('--logprobs 0');
    const id = logprobs[0].id;
    const without = await one(`--logprobs 0 --logit-bias ${id}:-100`);
    expect(without.logprobs.map((l: { id: number }) => l.id)).not.toContain(id);
    const stopped = await one(`--stop-token-ids ${id}`);
    expect(stopped).toMatchObject({ text: '', tokens: 1, finish: 'eos' });
  });

  it('beams are searched, and said', async () => {
    const result = await cli(`${generate} --max-new-tokens 8 --num-beams 3 Hello`);
    expect(result.code).toBe(0);
    expect(result.stderr).toMatch(/^tiny, template chat, beam search with 3 beams$/m);
  });

  it('an answer of a schema is JSON of it', async () => {
    const schema = {
      type: 'object',
      properties: { ok: { type: 'boolean' } },
      required: ['ok'],
      additionalProperties: false,
    };
    writeFileSync(file('schema.json'), JSON.stringify(schema));
    const { text } = await one('--max-new-tokens 60 --json-schema schema.json');
    expect(JSON.parse(text)).toEqual({ ok: expect.any(Boolean) });
  });

  it('an adapter answers by its scale', async () => {
    const base = await one('--prompt-template-name alpaca');
    const adapted = await one('--adapter one');
    expect(adapted.text).not.toBe(base.text);
    expect((await one('--adapter one --adapter-scale 0')).text).toBe(base.text);
    expect(adapted.model).toBe('one');
    expect((await one('--adapter mine=one')).model).toBe('mine');
  });
});

it('compares more than two, each by its name', async () => {
  const result = await cli(
    'compare --base-model tiny --threads 1 --max-new-tokens 6 --adapter one --adapter b=two Hello Bye',
  );
  expect(result.code).toBe(0);
  expect(result.stdout).toMatch(/^> Hello\n\nbase:\n {2}.*one:\n.*b:\n.*^> Bye\n/ms);
});

describe('a wrong call is one line, and changes nothing:', () => {
  const asked = `${generate} --max-new-tokens 4`;
  beforeAll(async () => {
    expect((await cli(`${batch} --output kept.jsonl`)).code).toBe(0);
  });
  it.each<[string, string, 1 | 2, RegExp]>([
    ['two adapters', `${asked} --adapter one --adapter two Hello`, 2, /one adapter, but several/],
    [
      'one name twice',
      `${asked.replace('generate', 'compare')} --adapter a=one --adapter a=two Hello`,
      2,
      /two adapters are called a/,
    ],
    ['a file inside a file', `${batch} --output rows.jsonl/x.jsonl`, 1, /rows\.jsonl: .*EEXIST/],
    ['the name of the model', `${asked} --adapter tiny=one Hello`, 2, /as its model is/],
    ['a scale of nothing', `${asked} --adapter-scale 0.5 Hello`, 2, /no adapter answers/],
    ['an instruction and rows', `${batch} Hello`, 2, /not both/],
    ['an input and rows', `${batch} --input x`, 2, /--input belongs/],
    ['an output without rows', `${asked} --output x.jsonl Hello`, 2, /--output is for the rows/],
    ['to overwrite nothing', `${batch} --overwrite`, 2, /--overwrite is for an --output/],
    ['the file of the questions', `${batch} --output rows.jsonl --overwrite`, 2, /the file of the questions/],
    ['a file of somebody else', `${batch} --output notes.txt`, 2, /notes\.txt:1: is no answer/],
    ['a folder', `${batch} --output tiny`, 1, /tiny: .*EISDIR/],
    ['other settings', `${batch} --output kept.jsonl --seed 9`, 2, /kept\.jsonl:1: was answered by another model/],
    ['rows that are not there', `${asked} --data-path nope.jsonl`, 1, /nope\.jsonl: no such file/],
    ['a limit of nothing', `${batch} --limit 0`, 2, /--limit is 0/],
    ['no slots', `${asked} --slots 0 Hello`, 2, /slots is 0/],
    ['a bias of a token beyond', `${asked} --logit-bias 9999:1 Hello`, 2, /token 9999/],
    ['a bias that is none', `${asked} --logit-bias 5 Hello`, 2, /--logit-bias/],
    ['beams that sample', `${asked} --num-beams 4 --temperature 1 Hello`, 2, /beam search does not sample/],
    ['a length penalty without beams', `${asked} --length-penalty 2 Hello`, 2, /without beams it has no effect/],
    ['too many logprobs', `${asked} --logprobs 50 Hello`, 2, /logprobs is 50/],
    ['a schema that is not there', `${asked} --json-schema nope.json Hello`, 1, /nope\.json: no such file/],
    ['a schema that is not JSON', `${asked} --json-schema notes.txt Hello`, 2, /notes\.txt: is not JSON/],
    ['a schema that is none', `${asked} --json-schema bad-schema.json Hello`, 2, /nonsense/],
  ])('%s', async (_, args, code, message) => {
    writeFileSync(file('notes.txt'), 'my notes');
    writeFileSync(file('bad-schema.json'), '{"type":"nonsense"}');
    const names = ['notes.txt', 'rows.jsonl', 'kept.jsonl'];
    const before = names.map(read);
    expectOneError(await cli(args), code, message);
    expect(names.map(read)).toEqual(before);
    for (const name of ['x.jsonl', 'notes.txt.lock', 'kept.jsonl.lock']) expect(existsSync(file(name))).toBe(false);
  });
});
