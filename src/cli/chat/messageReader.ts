// From lines to messages: a message may go on over lines, in a block of """ or where a line ends with a backslash.

export interface Message {
  text: string;
  /** Came as a block: never a command. */
  block: boolean;
}

export interface MessageReader {
  /** @returns the message that the line completes. */
  push(line: string): Message | undefined;
  /** A message has begun that is not complete. */
  readonly open: boolean;
  /** Forgets what has begun. */
  cancel(): void;
  /** What has begun, where nothing more comes. */
  flush(): Message | undefined;
}

const fence = '"""';

export function createMessageReader(): MessageReader {
  let lines: string[] = [];
  let inBlock = false;
  let open = false;
  const take = (): Message => {
    const message = { text: lines.join('\n'), block: inBlock };
    reader.cancel();
    return message;
  };
  const reader: MessageReader = {
    get open() {
      return open;
    },
    push(line) {
      if (!open && line.trimStart().startsWith(fence)) {
        open = true;
        inBlock = true;
        line = line.trimStart().slice(fence.length);
        // A line break after the opening is not part of the text.
        if (line === '') return undefined;
      }
      if (inBlock) {
        const end = line.trimEnd().endsWith(fence);
        const rest = end ? line.trimEnd().slice(0, -fence.length) : line;
        if (!end || rest !== '') lines.push(rest);
        return end ? take() : undefined;
      }
      // Two backslashes are one, and do not go on.
      const [, backslashes = ''] = /(\\+)$/.exec(line) ?? [];
      if (backslashes.length % 2 === 1) {
        open = true;
        lines.push(line.slice(0, -1));
        return undefined;
      }
      lines.push(line);
      return take();
    },
    cancel() {
      lines = [];
      inBlock = false;
      open = false;
    },
    flush: () => (open ? take() : undefined),
  };
  return reader;
}
