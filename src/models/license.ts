// The license that a model's folder tells: the head of its README.md, as the hub reads it, else the first line of LICENSE.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readText } from './checkpointParts.ts';

/** E.g. apache-2.0, or the name that the author gave; undefined when the folder says nothing. */
export async function licenseOf(folder: string): Promise<string | undefined> {
  const names: string[] = await readdir(folder).catch(() => []);
  const head = names.includes('README.md') ? frontMatter(await readText(join(folder, 'README.md'))) : '';
  const field = (key: string) => new RegExp(`^${key}:[ \\t]*["']?([^"'\\r\\n#]+?)["']?[ \\t]*$`, 'm').exec(head)?.[1];
  const license = field('license');
  // "other" stands for a license of the author's own, whose name is in the next field.
  if (license && license !== 'other') return license;
  const named = field('license_name') ?? license;
  if (named) return named;
  const file = names.find((name) => /^(licen[cs]e|use_policy)/i.test(name));
  const first = file && (await readText(join(folder, file))).split('\n').find((text) => text.trim() !== '');
  return first ? `${first.trim().slice(0, 80)} (${file})` : undefined;
}

/** What stands between the two lines of dashes at the beginning. */
const frontMatter = (text: string): string =>
  /^\ufeff?---\r?\n([\s\S]*?)\r?\n---/.exec(text.slice(0, 65_536))?.[1] ?? '';
