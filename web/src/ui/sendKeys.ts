// Which keys send a text.

/** Ctrl+Enter, or Cmd+Enter on a Mac; with `plain` also Enter alone, which a Chinese or Japanese input method needs for itself. */
export function sends(event: KeyboardEvent, plain = false): boolean {
  if (event.key !== 'Enter' || event.isComposing || event.keyCode === 229) return false;
  if (event.ctrlKey || event.metaKey) return true;
  return plain && !event.shiftKey && !event.altKey && !matchMedia('(pointer: coarse)').matches;
}

const mac = /mac|iphone|ipad/i.test(navigator.platform);

export const sendKey = mac ? '⌘ Enter' : 'Ctrl+Enter';
