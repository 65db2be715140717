// The address of a link in a model's text, or nothing where following it could run or reveal something.
import { decodeEntities } from './entities.ts';

const allowed = new Set(['http:', 'https:', 'mailto:']);

/** Absolute http, https and mailto addresses only; the parsed form is what is used, so that what was checked is what opens. */
export function safeLink(href: string): string | undefined {
  try {
    const url = new URL(decodeEntities(href));
    return allowed.has(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}
