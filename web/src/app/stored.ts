// A signal that is remembered in this browser. What was stored is checked: it may come from an older version of the page.
import { effect, type Signal, signal } from '@preact/signals';

/** Gives the value if it is one, else undefined. */
export type Check<T> = (value: unknown) => T | undefined;

export function stored<T>(name: string, initial: () => T, check: Check<T>): Signal<T> {
  const key = `huacaya.${name}`;
  const value = signal<T>(check(read(key)) ?? initial());
  let first = true;
  effect(() => {
    const now = value.value;
    // Nothing is written before something was chosen, so that defaults (such as the browser's language) stay live.
    if (!first) write(key, now);
    first = false;
  });
  return value;
}

export const oneOf =
  <T extends string>(allowed: readonly T[]): Check<T> =>
  (value) =>
    allowed.find((a) => a === value);

function read(key: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(key) ?? 'null');
  } catch {
    return undefined;
  }
}

function write(key: string, value: unknown): void {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Storage may be full or forbidden; the choice then lasts as long as the page.
  }
}
