// Stop strings as lines of a text field: a line break inside one is written \n, a backslash \\.
import { mostStops } from './sampling.ts';

export const formatStops = (stops: readonly string[]): string =>
  stops.map((s) => s.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')).join('\n');

export const parseStops = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .slice(0, mostStops)
    .map((line) => line.replace(/\\([n\\])/g, (_, c: string) => (c === 'n' ? '\n' : '\\')));
