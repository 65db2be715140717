// Prompt files are plain text with {{names}}; what users write into them is checked when it is read.
import { HuacayaError, nearNames } from '../../base/index.ts';

/** All names that stand in double braces, each once. */
const placeholders = (text: string) => [...new Set([...text.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map((m) => m[1]!))];

/** @throws HuacayaError TEMPLATE_INVALID where a placeholder is missing or unknown. */
export function checkTemplate(
  name: string,
  text: string,
  { required, optional }: { required: readonly string[]; optional: readonly string[] },
): void {
  const known = [...required, ...optional];
  const there = placeholders(text);
  const strange = there.find((p) => !known.includes(p));
  if (strange !== undefined) {
    const [near] = nearNames(strange, known);
    throw new HuacayaError('TEMPLATE_INVALID', `${name}: there is no {{${strange}}} in this prompt`, {
      hint: near ? `Did you mean {{${near}}}?` : `Known: ${known.map((k) => `{{${k}}}`).join(', ')}.`,
      exitCode: 2,
    });
  }
  const missing = required.find((p) => !there.includes(p));
  if (missing !== undefined) {
    throw new HuacayaError('TEMPLATE_INVALID', `${name}: {{${missing}}} is missing`, {
      hint: 'The prompt must say where it goes.',
      exitCode: 2,
    });
  }
}

/** Fills the placeholders; a line that holds nothing but an empty one goes. Values are not looked at for placeholders. */
export function fillTemplate(text: string, values: Readonly<Record<string, string>>): string {
  return text
    .replace(/^[ \t]*\{\{\s*(\w+)\s*\}\}[ \t]*\n/gm, (line, name: string) => (values[name] === '' ? '' : line))
    .replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, name: string) => values[name] ?? whole);
}
