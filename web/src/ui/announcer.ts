// What a screen reader says: one polite live region for the whole page, in sentences instead of tokens.
import { signal } from '@preact/signals';

export const announced = signal('');

export function announce(text: string): void {
  // Read without following it: an effect that announces must not run again because of it. The same text twice would be no change, and so not be said.
  announced.value = announced.peek() === text ? `${text} ` : text;
}
