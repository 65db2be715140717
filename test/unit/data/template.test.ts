import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { extractResponse, type PromptTemplate, parseTemplate, renderPrompt } from '../../../src/data/index.ts';
import { loadTemplate, templateNames } from '../../../src/data/node.ts';

const withInput =
  'Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\nI\n\n### Input:\nX\n\n### Response:';
const withoutInput =
  'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nI\n\n### Response:';

describe('built-in templates render the published prompts, character by character', () => {
  const prompts: [string, string, string, string][] = [
    ['alpaca', `${withInput}\n`, `${withoutInput}\n`, '### Response:'],
    ['alpaca_legacy', withInput, withoutInput, '### Response:'],
    [
      'alpaca_short',
      '### Instruction:\nI\n\n### Input:\nX\n\n### Response:\n',
      '### Instruction:\nI\n\n### Response:\n',
      '### Response:',
    ],
    [
      'vigogne',
      'Ci-dessous se trouve une instruction qui décrit une tâche, associée à une entrée qui fournit un contexte supplémentaire. Écrivez une réponse qui complète correctement la demande.\n\n### Instruction:\nI\n\n### Entrée:\nX\n\n### Réponse:\n',
      'Ci-dessous se trouve une instruction qui décrit une tâche. Écrivez une réponse qui complète correctement la demande.\n\n### Instruction:\nI\n\n### Réponse:\n',
      '### Réponse:',
    ],
  ];
  it.each(prompts)('%s', async (name, input, noInput, split) => {
    const template = await loadTemplate(name);
    expect(template.name).toBe(name);
    expect(template.description).not.toBe('');
    expect(renderPrompt(template, { instruction: 'I', input: 'X' })).toBe(input);
    expect(renderPrompt(template, { instruction: 'I', input: '' })).toBe(noInput);
    expect(renderPrompt(template, { instruction: 'I' })).toBe(noInput);
    expect(template.responseSplit).toBe(split);
  });

  it('are all there, and the empty name is the default', async () => {
    expect(await templateNames()).toEqual(prompts.map(([name]) => name));
    expect((await loadTemplate('')).name).toBe('alpaca');
  });
});

const toy: PromptTemplate = {
  name: 'toy',
  description: '',
  promptInput: '<{instruction}|{input}> A.:',
  promptNoInput: '<{instruction}> A.:',
  responseSplit: 'A.:',
};

describe('renderPrompt', () => {
  it('never interprets the data', () => {
    const tricky = fc
      .array(fc.constantFrom('{instruction}', '{input}', '{', '}', '{{', '}}', '$&', '$1', '\\', 'a'))
      .map((p) => p.join(''));
    fc.assert(
      fc.property(tricky, tricky, (instruction, input) => {
        const wanted = input === '' ? `<${instruction}> A.:` : `<${instruction}|${input}> A.:`;
        expect(renderPrompt(toy, { instruction, input })).toBe(wanted);
      }),
    );
  });

  it('writes {{ and }} as literal braces', () => {
    const template = { ...toy, promptNoInput: '{{"q": "{instruction}"}} {{{instruction}}} A.:' };
    expect(renderPrompt(template, { instruction: '{x}' })).toBe('{"q": "{x}"} {{x}} A.:');
  });
});

describe('extractResponse', () => {
  it.each([
    ['<q> A.:\n the answer \n', 'the answer'],
    ['<q> a.: the answer', 'the answer'],
    ['<q> A.: one A.: two', 'one'],
    ['<q> ABX: not the separator', ''],
    ['nothing', ''],
  ])('%j -> %j', (text, answer) => expect(extractResponse(toy, text)).toBe(answer));

  it('gives back the answer behind a rendered prompt', async () => {
    for (const name of await templateNames()) {
      const template = await loadTemplate(name);
      expect(extractResponse(template, `${renderPrompt(template, { instruction: 'q', input: 'x' })}Yes.\nNo.`)).toBe(
        'Yes.\nNo.',
      );
    }
  });
});

describe('loadTemplate', () => {
  const good = { prompt_input: '{instruction} {input} R:', prompt_no_input: '{instruction} R:', response_split: 'R:' };
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'huacaya-template-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('takes the path of a file; the description may be absent', async () => {
    const path = join(folder, 'mine.json');
    await writeFile(path, `\ufeff${JSON.stringify(good)}`);
    expect(await loadTemplate(path)).toEqual({
      name: path,
      description: '',
      promptInput: good.prompt_input,
      promptNoInput: good.prompt_no_input,
      responseSplit: 'R:',
    });
  });

  it('lists the names for an unknown one, and names a missing file', async () => {
    await expect(loadTemplate('alpacka')).rejects.toMatchObject({
      code: 'TEMPLATE_NOT_FOUND',
      exitCode: 2,
      message:
        'there is no prompt template "alpacka"; the built-in ones are alpaca, alpaca_legacy, alpaca_short, vigogne',
    });
    await expect(loadTemplate('README.json')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(loadTemplate('../alpaca')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  it.each([
    ['{', 't: is not JSON'],
    ['[]', 't: is not a JSON object'],
    ['{"a": 1}', 't: "prompt_input" is missing or not a text; the keys there are "a"'],
    [{ ...good, response_split: '' }, 't: "response_split" is missing or not a text'],
    [{ ...good, prompt_no_input: 'R:' }, 't: "prompt_no_input" does not contain {instruction}'],
    [{ ...good, prompt_input: '{instruction} R:' }, 't: "prompt_input" does not contain {input}'],
    [{ ...good, prompt_input: '{{instruction}} {input} R:' }, 't: "prompt_input" does not contain {instruction}'],
    [{ ...good, prompt_no_input: '{instruction} {input} R:' }, 't: "prompt_no_input" contains {input}'],
    [{ ...good, prompt_input: '{instruction} {input} {context} R:' }, 't: "prompt_input" contains {context}'],
    [{ ...good, prompt_no_input: '{instruction} R: }' }, 't: "prompt_no_input" contains }, which is no placeholder'],
    [
      { ...good, response_split: 'Answer:' },
      't: "response_split" is "Answer:", but "prompt_input" does not contain it',
    ],
  ])('refuses %j', (file, message) => {
    const text = typeof file === 'string' ? file : JSON.stringify(file);
    expect(() => parseTemplate('t', text)).toThrowError(
      expect.objectContaining({ code: 'TEMPLATE_INVALID', message: expect.stringContaining(message) }),
    );
  });
});
