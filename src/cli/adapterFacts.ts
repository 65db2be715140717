// huacaya show for an adapter: what it changes, and which model it belongs to.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { resolveModel } from '../hub/index.ts';
import { type AdapterFacts, adapterFolderAt, inspectAdapter } from '../models/node.ts';
import { bytes, type Output } from './output.ts';
import { storage } from './session.ts';

/** Shows the adapter at a path or under a name of the cache. @returns false where there is none. */
export async function showAdapter(out: Output, nameOrPath: string): Promise<boolean> {
  // A folder may hold both; then the model is what is asked for.
  if (existsSync(join(nameOrPath, 'config.json'))) return false;
  const folder = adapterFolderAt(nameOrPath) ?? (await inCache(nameOrPath));
  if (folder === undefined) return false;
  const facts = await inspectAdapter(folder);
  out.json(facts);
  if (out.format !== 'json') out.data(lines(facts).join('\n'));
  return true;
}

async function inCache(name: string): Promise<string | undefined> {
  // What is not here is not for this function to say.
  const found = await resolveModel(name, await storage()).catch(() => undefined);
  return found && adapterFolderAt(found.path);
}

function lines({ path, config: c, baseModel, baseHint, file }: AdapterFacts): string[] {
  const line = (key: string, value: string) => `${key.padEnd(14)}${value}`;
  const factor = c.useRslora ? c.alpha / Math.sqrt(c.r) : c.alpha / c.r;
  return [
    line('adapter', path),
    line(
      'lora',
      `r ${c.r}, alpha ${c.alpha}${c.useRslora ? ', rsLoRA' : ''}: factor ${Number(factor.toPrecision(4))}; dropout ${c.dropout}`,
    ),
    line('modules', c.targetModules.join(', ')),
    line('parameters', `${file.parameters.toLocaleString('en')} in ${file.tensors} tensors`),
    line('file', `${bytes(file.bytes)}: ${file.name}`),
    line('base model', baseModel || 'not named'),
    ...(baseHint ? [line('', baseHint)] : []),
  ];
}
