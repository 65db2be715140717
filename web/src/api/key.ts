// The server's key: asked for when it is needed, kept until the tab is closed, and sent nowhere else.
import { signal } from '@preact/signals';

const storageKey = 'huacaya.key';

/** Set while the dialog is open; `wrong` says that a key was given and refused. */
export const keyAsked = signal<{ wrong: boolean } | undefined>(undefined);

let waiting: { promise: Promise<string | undefined>; settle: (key: string | undefined) => void } | undefined;

export function storedKey(): string | undefined {
  return sessionStorage.getItem(storageKey) ?? undefined;
}

/** Opens the dialog; requests that fail at the same time share it. Resolves to nothing when it is closed without a key. */
export function askForKey(refused: string | undefined): Promise<string | undefined> {
  // Another request may have got a new key while this one was on its way.
  const now = storedKey();
  if (now !== undefined && now !== refused) return Promise.resolve(now);
  if (!waiting) {
    let settle: (key: string | undefined) => void = () => {};
    const promise = new Promise<string | undefined>((resolve) => {
      settle = resolve;
    });
    waiting = { promise, settle };
    keyAsked.value = { wrong: refused !== undefined };
  }
  return waiting.promise;
}

/** The dialog's answer. */
export function giveKey(key: string | undefined): void {
  if (key !== undefined) sessionStorage.setItem(storageKey, key);
  keyAsked.value = undefined;
  waiting?.settle(key);
  waiting = undefined;
}
