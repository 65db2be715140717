// Finds tool calls in an answer as it comes. Two ways to write them: Hermes and Qwen put JSON between <tool_call> tags,
// Llama 3 answers with the JSON alone (its <|python_tag|> is a special token and gives no text).
import { randomUUID } from 'node:crypto';

export interface ToolCall {
  id: string;
  type: 'function';
  /** `arguments` is JSON. */
  function: { name: string; arguments: string };
}

export type ToolFormat = 'tags' | 'json';

export interface ToolReader {
  /** Text of the answer that is no call, and calls that are complete. */
  push(text: string): ToolText;
  finish(): ToolText;
}

export interface ToolText {
  content: string;
  calls: ToolCall[];
}

export interface ToolReaderOptions {
  format: ToolFormat;
  /** Names of the tools: JSON alone is a call only when it names one. */
  names: readonly string[];
  /** More calls are left out. */
  most?: number;
}

/** How a model was taught to call tools: its chat template says so. */
export const toolFormatOf = (chatTemplate: string | undefined): ToolFormat =>
  chatTemplate?.includes('<tool_call>') ? 'tags' : 'json';

export const openTag = '<tool_call>';
const closeTag = '</tool_call>';

export function createToolReader(options: ToolReaderOptions): ToolReader {
  const reader = options.format === 'tags' ? tagReader() : jsonReader(options.names);
  let left = options.most ?? Number.POSITIVE_INFINITY;
  const limited = ({ content, calls }: ToolText): ToolText => {
    const kept = calls.slice(0, left);
    left -= kept.length;
    return { content, calls: kept };
  };
  return { push: (text) => limited(reader.push(text)), finish: () => limited(reader.finish()) };
}

function tagReader(): ToolReader {
  let held = '';
  let inside = false;
  /** Blanks behind a call are no content. */
  let afterCall = false;

  function read(atEnd: boolean): ToolText {
    const out: ToolText = { content: '', calls: [] };
    const emit = (text: string) => {
      out.content += text;
      if (text) afterCall = false;
    };
    for (;;) {
      if (afterCall && !inside) held = held.trimStart();
      const tag = inside ? closeTag : openTag;
      const at = held.indexOf(tag);
      if (at < 0 && !(inside && atEnd)) break;
      const before = at < 0 ? held : held.slice(0, at);
      held = at < 0 ? '' : held.slice(at + tag.length);
      if (!inside) {
        emit(before.trimEnd());
        inside = true;
        continue;
      }
      inside = false;
      const call = toCall(parse(before));
      if (call) out.calls.push(call);
      else emit(openTag + before + (at < 0 ? '' : closeTag));
      afterCall = call !== undefined;
    }
    if (inside) return out;
    // What may become a tag waits, with the blanks in front of it.
    const keep = atEnd ? 0 : waiting(held);
    emit(held.slice(0, held.length - keep));
    held = held.slice(held.length - keep);
    return out;
  }

  return {
    push(text) {
      held += text;
      return read(false);
    },
    finish: () => read(true),
  };
}

/** How many characters at the end could be blanks in front of a tag, and the beginning of it. */
function waiting(text: string): number {
  let begin = Math.min(openTag.length - 1, text.length);
  while (begin > 0 && !openTag.startsWith(text.slice(text.length - begin))) begin--;
  return text.length - text.slice(0, text.length - begin).trimEnd().length;
}

function jsonReader(names: readonly string[]): ToolReader {
  const tag = '<|python_tag|>';
  let held = '';
  let plain = false;

  /** Undefined until it is known whether the answer may be calls. */
  function mayBeCalls(): boolean | undefined {
    const start = held.trimStart();
    if (start === '' || (start.length < tag.length && tag.startsWith(start))) return undefined;
    return start.startsWith('{') || start.startsWith('[') || start.startsWith(tag);
  }

  return {
    push(text) {
      held += text;
      plain ||= mayBeCalls() === false;
      if (!plain) return { content: '', calls: [] };
      const content = held;
      held = '';
      return { content, calls: [] };
    },
    finish() {
      const start = held.trimStart();
      const calls = callsOf(start.startsWith(tag) ? start.slice(tag.length) : start, names);
      return calls ? { content: '', calls } : { content: held, calls: [] };
    },
  };
}

/** One object, an array of them, or several with ';' or blanks between. Undefined when anything in it is not a call. */
function callsOf(text: string, names: readonly string[]): ToolCall[] | undefined {
  const whole = parse(text);
  const values = whole === undefined ? splitObjects(text)?.map(parse) : Array.isArray(whole) ? whole : [whole];
  if (!values || values.length === 0) return undefined;
  const calls = values.map(toCall);
  return calls.every((call) => call !== undefined && names.includes(call.function.name))
    ? (calls as ToolCall[])
    : undefined;
}

/** The texts of JSON objects that follow each other; undefined when there is something else between them. */
function splitObjects(text: string): string[] | undefined {
  const objects: string[] = [];
  let depth = 0;
  let begin = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c === '\\') i++;
      else if (c === '"') quoted = false;
    } else if (depth > 0 && c === '"') quoted = true;
    else if (c === '{') {
      if (depth++ === 0) begin = i;
    } else if (c === '}') {
      if (--depth === 0) objects.push(text.slice(begin, i + 1));
      if (depth < 0) return undefined;
    } else if (depth === 0 && !/[\s;,]/.test(c)) return undefined;
  }
  return depth === 0 ? objects : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toCall(value: unknown): ToolCall | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, arguments: hermes, parameters } = value as Record<string, unknown>;
  const given = hermes ?? parameters ?? {};
  // Some models write the arguments as a string that holds JSON.
  const args = typeof given === 'string' ? parse(given) : given;
  if (typeof name !== 'string' || name === '' || typeof args !== 'object' || args === null) return undefined;
  const id = `call_${randomUUID().replaceAll('-', '').slice(0, 24)}`;
  return { id, type: 'function', function: { name, arguments: JSON.stringify(args) } };
}
