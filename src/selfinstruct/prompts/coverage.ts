// Which subjects and verbs the accepted tasks cover, and which of them a prompt should ask for.
import type { Rng } from '../../base/index.ts';
import type { Task } from '../task.ts';

export interface Topic {
  name: string;
  /** Words that show it, in lower case; in scripts with spaces a beginning of a word counts. */
  words: readonly string[];
}

/** "name: word, word" */
export function parseTopics(lines: readonly string[]): Topic[] {
  return lines.map((line) => {
    const [name = '', words = ''] = line.split(/[:：]/, 2);
    const list = words.split(/[,，、]/).map((word) => word.trim().toLowerCase());
    return { name: name.trim(), words: list.filter((word) => word !== '') };
  });
}

const spaced = (text: string) => /^[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}'-]+$/u.test(text);

/** Counts what is in; rarest first with a little luck, so that requests of one window ask for different things. */
export class Coverage {
  private readonly topics: readonly Topic[];
  private readonly verbs: readonly string[];
  private readonly topicCounts: number[];
  private readonly verbCounts: Map<string, number>;
  /** Beginning of a word -> topics; and what is looked for anywhere. */
  private readonly beginnings = new Map<string, number[]>();
  private readonly anywhere: [text: string, topic: number][] = [];

  constructor(topics: readonly Topic[], verbs: readonly string[]) {
    this.topics = topics;
    this.verbs = verbs;
    this.topicCounts = topics.map(() => 0);
    this.verbCounts = new Map(verbs.map((verb) => [verb.toLowerCase(), 0]));
    for (const [i, { words }] of topics.entries()) {
      for (const word of words) {
        if (spaced(word)) this.beginnings.set(word, [...(this.beginnings.get(word) ?? []), i]);
        else this.anywhere.push([word, i]);
      }
    }
  }

  add({ instruction, input }: Pick<Task, 'instruction' | 'input'>): void {
    const text = `${instruction} ${input.slice(0, 500)}`.toLowerCase();
    const found = new Set<number>();
    for (const [word] of text.matchAll(/[\p{L}\p{M}'-]+/gu)) {
      // A word of three letters must match as it is ("car", not "care"); longer ones also with an ending.
      for (let n = Math.min(3, word.length); n <= word.length; n++) {
        if (n <= 3 && n < word.length && word !== `${word.slice(0, n)}s`) continue;
        for (const topic of this.beginnings.get(word.slice(0, n)) ?? []) found.add(topic);
      }
    }
    for (const [word, topic] of this.anywhere) if (text.includes(word)) found.add(topic);
    for (const topic of found) this.topicCounts[topic]!++;
    const verb = this.verbOf(instruction);
    if (verb !== undefined) this.verbCounts.set(verb, this.verbCounts.get(verb)! + 1);
  }

  private verbOf(instruction: string): string | undefined {
    const start = instruction.trim().toLowerCase();
    const [word = ''] = start.split(/[^\p{L}]/u);
    if (this.verbCounts.has(word)) return word;
    return [...this.verbCounts.keys()].find((verb) => !spaced(verb) && start.startsWith(verb));
  }

  /** @returns `topics` and `verbs` drawn from the rarer half, rarer ones more likely. */
  gaps(rng: Rng, topics: number, verbs: number): { topics: string[]; verbs: string[] } {
    return {
      topics: draw(
        rng,
        this.topics.map(({ name }, i) => ({ name, count: this.topicCounts[i]! })),
        topics,
      ),
      verbs: draw(
        rng,
        this.verbs.map((name) => ({ name, count: this.verbCounts.get(name.toLowerCase())! })),
        verbs,
      ),
    };
  }
}

function draw(rng: Rng, items: { name: string; count: number }[], n: number): string[] {
  // Shuffled before the (stable) sort: equals stand in any order.
  const rarest = rng.shuffle([...items]).sort((a, b) => a.count - b.count);
  const half = rarest.slice(0, Math.max(n, Math.ceil(rarest.length / 2)));
  const chosen: string[] = [];
  while (chosen.length < n && half.length > 0) {
    const at = Math.floor(rng.uniform() ** 2 * half.length);
    chosen.push(half.splice(at, 1)[0]!.name);
  }
  return chosen;
}
