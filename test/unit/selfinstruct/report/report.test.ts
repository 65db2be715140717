// The report page: what is counted, and that no text of a teacher becomes markup.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { reportPage } from '../../../../src/selfinstruct/report/index.ts';
import { verbAndNoun, verbGroups } from '../../../../src/selfinstruct/report/verbNoun.ts';
import type { Accepted } from '../../../../src/selfinstruct/task.ts';

const task = (instruction: string, rest: Partial<Accepted> = {}): Accepted => ({
  instruction,
  input: '',
  output: 'x',
  request: 0,
  nearest: [],
  mean: 0,
  ...rest,
});
const answer = { id: 'a', promptTokens: 100, completionTokens: 50, cost: 0.25, model: 'm' };

describe('verbs and their objects', () => {
  it.each([
    ['Write a short poem about the sea.', 'write', 'poem'],
    ['Please list the three largest files in the folder.', 'list', 'file'],
    ['Give a traveller four polite phrases.', 'give', 'phrase'],
    ['Prepare five interview questions for a nurse.', 'prepare', 'question'],
    ['Here are some notes. Summarise the discussion in two sentences.', 'summarise', 'discussion'],
  ])('%s', (text, verb, noun) => {
    expect(verbAndNoun(text)).toEqual({ verb, noun });
  });

  it.each(['What is the capital of France?', 'Is the number prime?', '', 'The letter, below'])('none: %s', (text) => {
    expect(verbAndNoun(text)).toBeUndefined();
  });

  it('finds pairs in most of our own seeds', () => {
    const file = join(import.meta.dirname, '../../../../seeds/en.jsonl');
    const seeds = readFileSync(file, 'utf8').trim().split('\n');
    const instructions = seeds.map((text) => JSON.parse(text).instruction as string);
    const pairs = instructions.filter((text) => verbAndNoun(text) !== undefined);
    expect(pairs.length / seeds.length).toBeGreaterThan(0.6);
  });

  it('are sorted by frequency, then by the alphabet, and cut', () => {
    const texts = ['Write a poem.', 'Write a letter.', 'Write a letter.', 'Find the error.', 'Draw a cat.'];
    expect(verbGroups(texts, 2, 1)).toEqual([
      { verb: 'write', count: 3, nouns: [{ noun: 'letter', count: 2 }] },
      { verb: 'draw', count: 1, nouns: [{ noun: 'cat', count: 1 }] },
    ]);
  });
});

describe('the page', () => {
  const accepted = [
    task('Write a poem about rain.', { input: 'a<b', nearest: [{ text: 'Write <b>a</b> poem.', score: 0.66 }] }),
    task('Find the error.'),
    task('</title><script>alert(1)</script>'),
  ];
  const history = [
    { ...answer, accepted: 2, rejected: { duplicate: 3 } },
    { ...answer, accepted: 1, rejected: { too_short: 1, duplicate: 1 } },
  ];
  let page = '';
  beforeAll(async () => {
    page = await reportPage({ title: 'Run <1>', language: 'en', accepted, history, currency: '$' });
  });

  it('has the figures', () => {
    expect(page).toContain('<td>33.3 %</td>');
    expect(page).toContain('<td>37.5 %</td>');
    expect(page).toContain('200 in, 100 out');
    expect(page).toContain('$0.5000, $166.67 a thousand tasks');
    expect(page).toMatch(/duplicate<\/td><td class="n">4<\/td><td>80\.0 %/);
    expect(page).toContain('<title>write poem: 1</title>');
  });

  it('escapes every text', () => {
    expect(page).not.toMatch(/<script|<b>|Run <1>/);
    expect(page).toContain('Write &#60;b&#62;a&#60;/b&#62; poem.');
  });

  it('is drawn without data too', async () => {
    const empty = await reportPage({ title: 'x', language: 'zh', accepted: [], history: [] });
    expect(empty).not.toMatch(/NaN|undefined|Infinity/);
  });
});
