// Our own rules for a language, and the prompt folders that they come from.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../../src/base/index.ts';
import { createFilter, languageFilters } from '../../../../src/selfinstruct/filters/filters.ts';
import { countWords } from '../../../../src/selfinstruct/filters/words.ts';
import { Coverage, parseTopics } from '../../../../src/selfinstruct/prompts/coverage.ts';
import { fillTemplate } from '../../../../src/selfinstruct/prompts/fillTemplate.ts';
import { loadPromptSet } from '../../../../src/selfinstruct/prompts/loadPromptSet.ts';
import { templates } from '../pipelines/helpers.ts';

const filterOf = async (language: string) =>
  createFilter(languageFilters(await loadPromptSet(`${templates}${language}`)));

describe('filters of a language', () => {
  it('looks at the whole task', async () => {
    const filter = await filterOf('en');
    const why = (instruction: string, input = '', output = 'Fine.') => filter({ instruction, input, output });
    expect(why('Describe the map of a small town')).toBeUndefined();
    expect(why('Describe the attachment in one line')).toBe('keyword');
    expect(why('Tell me a joke', '', '')).toBe('empty_output');
    expect(why('Tell me a joke', '', ' I’m sorry, but I cannot do that.')).toBe('refusal');
    expect(why('Say sorry to a friend', '', 'Sorry, I forgot your birthday.')).toBeUndefined();
    expect(why('Repeat what I say', 'cat', 'cat')).toBe('output_is_input');
    expect(why('Repeat what I say', '', 'Repeat what I say')).toBe('output_is_input');
    expect(why('List what you need', '', 'You need:')).toBe('ends_with_colon');
    expect(why('Sum up the text', '<insert text here>')).toBe('placeholder');
    expect(why('Sum up the text', '[Your text]')).toBe('placeholder');
    expect(why('Go on with the story', 'Once upon a time...')).toBeUndefined();
  });

  it('counts Chinese by characters and wants Chinese', async () => {
    expect(countWords('用 JSON 写一首诗。', 'characters')).toBe(6);
    expect(countWords('  a b\n\tc. ', 'spaces')).toBe(3);
    const filter = await filterOf('zh');
    const why = (instruction: string) => filter({ instruction, input: '', output: '好。' });
    expect(why('写一首关于春天的诗')).toBeUndefined();
    expect(why('写首诗')).toBe('too_short');
    expect(why('请描述这张图片的内容')).toBe('keyword');
    expect(why('Write a poem about the spring')).toBe('wrong_language');
    expect(why('，写一首关于春天的诗')).toBeUndefined();
    expect(filter({ instruction: '写一首关于春天的诗', input: '', output: '抱歉，我无法回答。' })).toBe('refusal');
  });
});

describe('prompt folders', () => {
  it.each(['en', 'zh'])('%s is complete, and asks nothing that it drops', async (language) => {
    const { templates: texts, keywords, topics, verbs } = await loadPromptSet(`${templates}${language}`);
    expect(keywords.length).toBeGreaterThan(10);
    expect(topics.length).toBeGreaterThan(30);
    expect(verbs.filter((verb) => keywords.includes(verb))).toEqual([]);
    for (const text of Object.values(texts)) expect(text).not.toMatch(/\r|\n$/);
  });

  it('says what is wrong in a file of the user', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'huacaya-prompts-'));
    try {
      cpSync(`${templates}en`, folder, { recursive: true });
      const spoil = async (name: string, change: (text: string) => string) => {
        const before = readFileSync(join(folder, name), 'utf8');
        writeFileSync(join(folder, name), change(before));
        const error = await loadPromptSet(folder).catch((e) => e);
        writeFileSync(join(folder, name), before);
        return `${error.message} ${error.hint}`;
      };
      expect(await spoil('alpaca.txt', (t) => t.replace('{{examples}}', ''))).toMatch(
        /alpaca\.txt: \{\{examples\}\} is missing/,
      );
      expect(await spoil('classify.txt', (t) => `${t}{{instructoin}}`)).toMatch(
        /no \{\{instructoin\}\}.*Did you mean \{\{instruction\}\}/,
      );
      expect(await spoil('language.json', (t) => t.replace('"spaces"', '"syllables"'))).toMatch(
        /language\.json: words/,
      );
      expect(await spoil('finetuning.txt', () => 'only {{input}}')).toMatch(/finetuning\.txt: needs/);
      rmSync(join(folder, 'verbs.txt'));
      await expect(loadPromptSet(folder)).rejects.toThrow(/verbs\.txt: is missing/);
      await expect(loadPromptSet(join(folder, 'none'))).rejects.toMatchObject({ code: 'USAGE' });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('fills placeholders once, and drops a line whose value is empty', () => {
    expect(fillTemplate('a\n{{ x }}\nb {{y}}\n', { x: '', y: '{{x}} $&' })).toBe('a\nb {{x}} $&\n');
  });
});

describe('coverage', () => {
  const topics = parseTopics(['food: cook, bread', 'cars: car, engine', '诗：诗, 对联', 'space: moon']);

  it('asks for what is rare, and counts words with endings', () => {
    const coverage = new Coverage(topics, ['Name', 'write', '写']);
    const asked = (n: number) => coverage.gaps(createRng(n), 2, 1);
    for (let i = 0; i < 5; i++) {
      coverage.add({ instruction: 'Write about cooking.', input: '' });
      coverage.add({ instruction: 'Name it.', input: 'Two cars, I do not care.' });
      coverage.add({ instruction: '写一首诗', input: '' });
      coverage.add({ instruction: 'Say what scars the boatman.', input: '' });
    }
    for (let n = 0; n < 10; n++) expect(asked(n).topics).toContain('space');
    coverage.add({ instruction: 'write, please', input: '' });
    const rare = Array.from({ length: 20 }, (_, n) => asked(n).verbs[0]);
    expect(rare).not.toContain('write');
    expect(asked(3)).toEqual(asked(3));
  });
});
