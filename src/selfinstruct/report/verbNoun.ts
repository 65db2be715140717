// What instructions ask for: their first verb and its object, as in the diversity plot of Self-Instruct (arXiv 2212.10560,
// figure 3). Theirs came from a constituency parser; this is a tagger and the order of words, which is right for imperatives.
import nlp from 'compromise/two';

export interface VerbNoun {
  /** Infinitive. */
  verb: string;
  /** Singular. */
  noun: string;
}

interface Term {
  normal: string;
  root?: string;
  tags: readonly string[];
}

const skipped = ['Determiner', 'Adjective', 'Value', 'Possessive', 'Adverb', 'Particle', 'Expression'];

/** The pair of an English instruction; undefined for questions and sentences without a verb that has an object. */
export function verbAndNoun(instruction: string): VerbNoun | undefined {
  const doc = nlp(instruction.slice(0, 400));
  doc.compute('root');
  for (const sentence of doc.json() as { terms: Term[] }[]) {
    const found = ofTerms(sentence.terms);
    if (found) return found;
  }
  return undefined;
}

function ofTerms(terms: readonly Term[]): VerbNoun | undefined {
  const is = (i: number, tag: string) => terms[i]?.tags.includes(tag) ?? false;
  let at = 0;
  while (is(at, 'Adverb') || terms[at]?.normal === 'please') at++;
  if (!is(at, 'Verb') || is(at, 'Auxiliary') || is(at, 'Copula') || is(at, 'Modal')) return undefined;
  const verb = terms[at]!;
  // The indirect object of "give a child three tips" is a noun too: the last noun before a preposition is the object.
  let noun: Term | undefined;
  for (let i = at + 1; i < terms.length; i++) {
    // Nouns of which the tagger makes a verb: "interview questions".
    if (is(i, 'Noun') || (noun && is(i, 'Verb') && is(i - 1, 'Noun'))) noun = terms[i];
    else if (!skipped.some((tag) => is(i, tag))) break;
  }
  return noun && { verb: verb.root ?? verb.normal, noun: noun.root ?? noun.normal };
}

export interface VerbGroup {
  verb: string;
  count: number;
  nouns: { noun: string; count: number }[];
}

/** The most frequent verbs, each with its most frequent objects: 20 and 4 in the paper. */
export function verbGroups(instructions: Iterable<string>, verbs = 20, nouns = 4): VerbGroup[] {
  const counts = new Map<string, Map<string, number>>();
  for (const instruction of instructions) {
    const pair = verbAndNoun(instruction);
    if (!pair) continue;
    const group = counts.get(pair.verb) ?? new Map<string, number>();
    counts.set(pair.verb, group.set(pair.noun, (group.get(pair.noun) ?? 0) + 1));
  }
  const groups = [...counts].map(([verb, objects]) => {
    const sorted = [...objects].map(([noun, count]) => ({ noun, count })).sort(order('noun'));
    return { verb, count: sorted.reduce((n, o) => n + o.count, 0), nouns: sorted.slice(0, nouns) };
  });
  return groups.sort(order('verb')).slice(0, verbs);
}

/** Most frequent first; equal ones by the alphabet, so that a report is the same each time. */
const order =
  <K extends string>(key: K) =>
  (a: { count: number } & Record<K, string>, b: { count: number } & Record<K, string>) =>
    b.count - a.count || (a[key] < b[key] ? -1 : 1);
