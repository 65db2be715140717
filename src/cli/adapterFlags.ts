// `--adapter folder` and `--adapter name=folder`, any number of them.
import { existsSync } from 'node:fs';
import { checkId, idOfFolder } from '../assistant/node.ts';
import { usageError } from '../base/index.ts';

/** @returns name and folder; no name where none is given, and for a folder that has a = in its name. */
export function splitAdapter(text: string): { id?: string; folder: string } {
  const [, id, folder] = /^([^=/\\]+)=(.+)$/s.exec(text) ?? [];
  if (id === undefined || folder === undefined || existsSync(text)) return { folder: text };
  return { id: checkId(id), folder };
}

/** Folders by name; those without one are called after their folder. @throws HuacayaError USAGE for a name given twice. */
export function adaptersByName(flags: readonly string[]): Record<string, string> {
  const split = flags.map(splitAdapter);
  const named = new Map<string, string>();
  for (const { id, folder } of split) {
    if (id === undefined) continue;
    if (named.has(id)) throw usageError(`two adapters are called ${id}`, 'Give each a name of its own.');
    named.set(id, folder);
  }
  const taken = new Set(named.keys());
  const all = split.map(({ id, folder }) => {
    const name = id ?? idOfFolder(folder, taken);
    taken.add(name);
    return [name, folder] as const;
  });
  return Object.fromEntries(all);
}
