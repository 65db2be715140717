// Memory from outside: the plan of `train`, and `show`.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { expectOneError, runCli } from '../helpers/runCli.ts';
import { temporaryFolder, tinyConfigs, tinyModel, writeTinyModel } from '../helpers/tinyModel.ts';

const folder = temporaryFolder();
const cwd = folder.path;
const config = { model_type: 'llama', ...tinyConfigs.tied };
let hub: Server;
const cli = (args: string, env: Record<string, string> = {}) => runCli(args.split(' '), { cwd, env });
const train = 'train --base-model tiny --data-path rows.jsonl --prompt-template-name alpaca_short --threads 1';

beforeAll(async () => {
  writeTinyModel(join(cwd, 'tiny'), tinyModel());
  const row = (n: number) => JSON.stringify({ instruction: `Count to ${n}.`, input: '', output: `It is ${n}.` });
  writeFileSync(join(cwd, 'rows.jsonl'), Array.from({ length: 8 }, (_, i) => `${row(i)}\n`).join(''));
  writeFileSync(join(cwd, 'config.json'), JSON.stringify(config));
  hub = createServer((request, response) => {
    if (request.url === '/some/model/resolve/main/config.json') response.end(JSON.stringify(config));
    else response.writeHead(404, { 'x-error-code': 'RepoNotFound' }).end();
  });
  await new Promise<void>((done) => hub.listen(0, '127.0.0.1', done));
});
afterAll(() => {
  hub.close();
  folder.remove();
});

describe('train --memory', () => {
  it('ends with one line when nothing fits, before the model is loaded', async () => {
    const result = await cli(`${train} --memory 200MB`);
    expectOneError(result, 2, /200 MB of memory are too little: it needs at least \d+ MB: .*\[MEMORY_LIMIT\]/);
    expect(result.stderr).toContain('Raise --memory');
  });

  it('says what would fit without a setting that was asked for', async () => {
    const result = await cli(`${train} --memory 200MB --precision fp32 --recompute false`);
    expectOneError(result, 2, /at least \d+ MB: fp32, pack \d+ \[MEMORY_LIMIT\]/);
  });

  it('shows the plan with --dry-run, and the settings that were chosen', async () => {
    const result = await cli(`${train} --memory 3GB --dry-run`);
    expect(result.code).toBe(0);
    expect(result.stderr).toMatch(/memory {4}int8, pack 1024: as asked for; limit 3.00 GB/);
    expect(result.stderr).toMatch(/peak of the process +0\.\d\d GB/);
    expect(parse(result.stdout)).toMatchObject({ memory: '3GB', recompute: false, one_copy: false, pack_len: 1024 });
    const { stdout } = await cli(`--format json ${train} --memory 3GB --dry-run`);
    const { memory_plan: plan } = JSON.parse(stdout);
    expect(plan).toMatchObject({
      limit: 3e9,
      settings: { precision: 'int8', recompute: false },
      reason: 'as asked for',
    });
    expect(plan.estimate.total).toBeLessThan(3e9);
  });

  it('trains with recompute and one copy when they are asked for', async () => {
    const result = await cli(`${train} --recompute --one-copy true --max-steps 1 --output-dir small`);
    expect(result).toMatchObject({ code: 0, stdout: 'small/adapter\n' });
    expect(result.stderr).toMatch(/memory {4}int8, one copy, recompute, pack 1024/);
  });

  it('refuses a size that is none', async () => {
    expectOneError(await cli(`${train} --memory lots`), 2, /memory is "lots": write auto, or a size such as 8GB/);
    expectOneError(await cli(`${train} --recompute maybe`), 2, /recompute is "maybe": write auto, true or false/);
  });
});

describe('show', () => {
  it('tells what a model is and what it takes', async () => {
    const { code, stdout } = await cli('show tiny');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^model +tiny\narchitecture +llama, \d+ layers/);
    expect(stdout).toMatch(/license +the files do not say\nfiles .*F32: /);
    expect(stdout).toMatch(/ kB +config\.json\n/);
    expect(stdout).toMatch(/hashes +nobody published/);
    expect(stdout).toMatch(/tokens +\d+; begin .*, end .*, pad /);
    expect(stdout).toMatch(/int8, one copy +- +0\.\d\d/);
    expect(stdout).toMatch(/GB are free here/);
  });

  it('tells the license, and what was mended', async () => {
    writeTinyModel(join(cwd, 'old'), tinyModel());
    writeFileSync(
      join(cwd, 'old', 'README.md'),
      '---\ntags: [x]\nlicense: other\nlicense_name: llama2\n---\nlicense: mit\n',
    );
    const path = join(cwd, 'old', 'config.json');
    const json = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ ...json, architectures: ['LLaMAForCausalLM'], pad_token_id: -1 }));
    const { stdout } = await cli('show old');
    expect(stdout).toMatch(/license +llama2\n/);
    expect(stdout).toMatch(/repaired +config\.json: the class LLaMAForCausalLM is LlamaForCausalLM today/);
    expect(stdout).toMatch(/repaired +config\.json: pad_token_id is -1, which is no token/);
  });

  it('knows adapters, and copies of a base that is gone', async () => {
    const adapter = join(import.meta.dirname, '../fixtures/architectures/qwen2');
    mkdirSync(join(cwd, 'lora'));
    for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
      cpSync(join(adapter, name), join(cwd, 'lora', name));
    }
    const path = join(cwd, 'lora', 'adapter_config.json');
    const json = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ ...json, base_model_name_or_path: 'decapoda-research/llama-7b-hf' }));
    const { stdout } = await cli('show lora');
    expect(stdout).toMatch(/^adapter +lora\nlora +r 2, alpha 4: factor 2; dropout 0\n/);
    expect(stdout).toMatch(
      /base model +decapoda-research\/llama-7b-hf\n +.*is gone from the hub.*huggyllama\/llama-7b/,
    );
    expect(JSON.parse((await cli('--format json show lora')).stdout)).toMatchObject({
      config: { r: 2 },
      file: { tensors: 28 },
    });
  });

  it('gives data with --format json, also for a config.json', async () => {
    const here = JSON.parse((await cli('--format json show tiny')).stdout);
    const file = JSON.parse((await cli('--format json show config.json')).stdout);
    expect(here).toMatchObject({ name: 'tiny', files: { storedAs: ['F32'], quantisedBytes: expect.any(Number) } });
    expect(file).toMatchObject({ path: null, config: here.config, parameters: here.parameters });
    const sizes = (found: { memory: { bytes: number }[] }) => found.memory.map((m) => m.bytes);
    expect(sizes(file)).toEqual(sizes(here));
    expect(here.memory).toHaveLength(29);
    expect(file.files).toBeUndefined();
  });

  it('knows models that are not here: of the catalogue without a network, others by their config.json', async () => {
    const known = await cli('show smollm2-135m-instruct', { HF_HUB_OFFLINE: '1' });
    expect(known.stdout).toMatch(/parameters +134,515,008.*\n.*\n.*\nfiles +not on this machine/);
    const endpoint = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`;
    const other = await cli('show some/model', { HF_ENDPOINT: endpoint });
    expect(other.stdout).toMatch(/^model +some\/model\n/);
    expectOneError(await cli('show no/model', { HF_ENDPOINT: endpoint }), 1, /no\/model: the hub has no such/);
  });

  it('says clearly why it cannot', async () => {
    expectOneError(await cli('show some/model', { HF_HUB_OFFLINE: '1' }), 1, /some\/model: is not on this machine/);
    expectOneError(await cli('show some/model', { HF_ENDPOINT: 'http://127.0.0.1:9' }), 1, /could not be reached/);
    expectOneError(await cli('show nothing'), 1, /nothing: is no file, no folder and no known model/);
    expectOneError(await cli('show none.json'), 1, /none\.json/);
  });
});
