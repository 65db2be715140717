// Instructions from a seed: made up, but with the lengths, the frequent words and the long tail of generated ones, and with
// near-duplicates of every degree, as a teacher sends them. Used by bench/dedupe.mjs.
import { random } from './fuzzBodies.mjs';

const verbs =
  'Write Create Generate Describe Explain List Identify Summarize Compare Suggest Design Rewrite Classify Find Give Name Edit Compose Outline Analyze Propose Convert Calculate Translate Construct Brainstorm Discuss Predict Evaluate Provide'.split(
    ' ',
  );
const forms =
  'poem|short story|paragraph|list of ideas|slogan|letter|product description|dialogue|speech|recipe|summary|headline|tweet|haiku|plan|outline|function|query|set of rules|question|list of tips|review|script|blog post|job advert|timeline|survey|definition|metaphor|riddle'.split(
    '|',
  );
const adjectives =
  'short formal funny simple detailed creative persuasive modern effective healthy famous digital local sustainable common difficult new good important different unique positive technical social public natural daily ancient cheap safe'.split(
    ' ',
  );
const known =
  'climate change,electric cars,machine learning,the French Revolution,a healthy diet,remote work,time management,a small bakery,coral reefs,online learning,the water cycle,social media,a job interview,renewable energy,the human heart,public transport,a birthday party,chess,black holes,a neural network,data privacy,mountain hiking,home gardening,world history,a city garden,the stock market,jazz music,recycling,a mobile app,space travel,customer service,good sleep,artificial intelligence,a used bicycle,teamwork,the solar system,photography,mental health,email marketing,a rainy day'.split(
    ',',
  );
const people =
  'a child of ten,beginners,a busy manager,students,new parents,a tourist,small companies,older people,engineers,teachers'.split(
    ',',
  );
const opening = [
  '{V} a {a} {f}',
  '{V} a {f}',
  '{V} {k} {n} {g}',
  '{V} the {n} {g}',
  '{V} the {a} {n}',
  '{V} how {n} {g}',
  '{V} {k} {a} ways to {v} {t}',
  'What is the {n} {g}',
  'What {n} are {a}',
  'How can {p} {v} {n}',
  'How does {t} {v} {n}',
  'Why do {n} and {n} {v}',
  'Given the following {n}, {v} its {n}',
  'Given a {n}, {v} the {n} {g}',
  '{V} this {n}',
  '{V} the following sentence',
  '{V} the given {n} as {n} or {n}',
  'Imagine that you are {p}. {V} a {f}',
  'In {t}, {v} the {n} {g}',
  'Tell {p} a {a} {f}',
  '{V} the differences between {n} and {n}',
  'Name {k} {n}',
  'Suppose that {n} and {n} {v} {t} although {p} {v} the {a} {n} {g}. {V} {k} {n} {g}, and a {f} {g}',
];
const more = ['{g}', '{g}', '{g} {g}', 'that {v} {t}', 'so that {p} {v} {n}', 'which is {a} and {a}', '', ''];
const links = ['about {t}', 'of {t}', 'of {n}', 'for {p}', 'in {t}', 'with {n}', 'from {n}', 'using {n} and {n}'];
const closing = ['.', '.', '.', '', '?', ' in {k} sentences.', ' in less than {k} words.', ', with {k} examples.'];
const numbers = ['two', 'three', 'four', 'five', 'ten', '3', '5'];

/** A word of the long tail, by rank: the same rank is the same word. */
function tailWord(rank) {
  const next = random(0x5eed + rank);
  const [heads, vowels] = [
    'b c d f g l m n p r s t v br cr dr fl gr pl st tr'.split(' '),
    'a e i o u ea io'.split(' '),
  ];
  const ends = ['n', 'r', 't', 'l', 's', 'nd', 'ment', 'tion', 'ness', 'ing', 'ture', 'ist'];
  const pick = (list) => list[Math.floor(next() * list.length)];
  let word = '';
  for (let k = 1 + Math.floor(next() * 2); k >= 0; k--) word += pick(heads) + pick(vowels);
  return word + pick(ends);
}

const capital = (word) => word[0].toUpperCase() + word.slice(1);

/** @returns `count` instructions; about a seventh is an earlier one again, whole or changed. Equal seeds, equal texts. */
export function instructions(count, seed = 1) {
  const next = random(seed);
  const below = (n) => Math.floor(next() * n);
  const pick = (list) => list[below(list.length)];
  // Zipf with exponent 1 (log-uniform ranks), without the most frequent words: those are in the patterns.
  const noun = () => tailWord(Math.floor(60 * 500 ** next()));
  const topic = () => (next() < 0.35 ? pick(known) : `${next() < 0.5 ? `${pick(adjectives)} ` : ''}${noun()}`);
  const slots = {
    V: () => (next() < 0.7 ? pick(verbs) : capital(noun())),
    v: () => (next() < 0.5 ? pick(verbs).toLowerCase() : noun()),
    f: () => pick(forms),
    a: () => (next() < 0.5 ? pick(adjectives) : noun()),
    t: topic,
    n: noun,
    k: () => pick(numbers),
    p: () => (next() < 0.6 ? pick(people) : noun()),
    g: () => fill(pick(links)),
  };
  const fill = (pattern) => pattern.replace(/\{(\w)\}/g, (_, slot) => slots[slot]());
  const fresh = () => fill(`${pick(opening)} ${pick(more)}`).trim() + fill(pick(closing));
  const changed = (text, times) => {
    const words = text.split(' ');
    for (let k = 0; k < times; k++) {
      const at = below(words.length);
      const kind = below(4);
      if (kind === 0) words[at] = noun();
      else if (kind === 1) words.splice(at, 1);
      else if (kind === 2) words.splice(at, 0, pick(adjectives));
      else words.splice(at, 2, ...words.slice(at, at + 2).reverse());
    }
    return words.join(' ') || text;
  };
  const texts = [];
  while (texts.length < count) {
    const again = texts.length > 20 && next() < 0.14;
    texts.push(again ? changed(texts[below(texts.length)], below(7)) : fresh());
  }
  return texts;
}
