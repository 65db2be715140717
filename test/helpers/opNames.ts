// The names of all ops, read off the declarations, so that none can be forgotten in a test.
import { readFileSync } from 'node:fs';

const source = (name: string) => readFileSync(new URL(`../../src/graph/${name}.ts`, import.meta.url), 'utf8');

/** Every op that is made a node of, but for inputs. */
export const opNames: readonly string[] = [
  ...new Set(
    ['ops', 'quantisedOps', 'decodeOps', 'value'].flatMap((file) =>
      [...source(file).matchAll(/\b(?:one|makeNode)\(\s*'(\w+)'/g)].map((m) => m[1]!),
    ),
  ),
].filter((op) => op !== 'input');
