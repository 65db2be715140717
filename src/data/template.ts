// Prompt templates in the JSON file format of Alpaca-LoRA: description, prompt_input, prompt_no_input, response_split.
// As there, the strings are brace formats: {instruction}, {input}, and {{ or }} for a literal brace.
import { HuacayaError } from '../base/index.ts';

export interface PromptTemplate {
  name: string;
  description: string;
  /** Prompt for a row with an input. */
  promptInput: string;
  /** Prompt for a row without one. */
  promptNoInput: string;
  /** What stands before the answer; also separates it from the prompt in generated text. */
  responseSplit: string;
}

const piece = /\{\{|\}\}|\{instruction\}|\{input\}/g;

function badTemplate(name: string, problem: string, hint?: string): HuacayaError {
  return new HuacayaError('TEMPLATE_INVALID', `${name}: ${problem}`, {
    hint:
      hint ??
      'A template is a JSON object with the keys description, prompt_input, prompt_no_input and response_split.',
  });
}

function checkPrompt(
  name: string,
  key: string,
  prompt: string,
  wanted: readonly string[],
  responseSplit: string,
): void {
  const pieces: readonly string[] = prompt.match(piece) ?? [];
  for (const placeholder of wanted) {
    if (!pieces.includes(placeholder)) throw badTemplate(name, `"${key}" does not contain ${placeholder}`);
  }
  if (!wanted.includes('{input}') && pieces.includes('{input}')) {
    throw badTemplate(name, `"${key}" contains {input}, but it is used for rows that have no input`);
  }
  const stray = prompt.replace(piece, '').match(/[{}]\w*\}?/);
  if (stray) {
    throw badTemplate(
      name,
      `"${key}" contains ${stray[0]}, which is no placeholder`,
      'The placeholders are {instruction} and {input}; a literal brace is written {{ or }}.',
    );
  }
  if (!splitter(responseSplit).test(prompt)) {
    throw badTemplate(
      name,
      `"response_split" is ${JSON.stringify(responseSplit)}, but "${key}" does not contain it`,
      'response_split is the heading that stands before the answer in both prompts.',
    );
  }
}

/**
 * @param text of a template file.
 * @throws HuacayaError TEMPLATE_INVALID: not JSON, a missing key, a missing or unknown placeholder.
 */
export function parseTemplate(name: string, text: string): PromptTemplate {
  let value: unknown;
  try {
    value = JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
  } catch (cause) {
    throw badTemplate(name, `is not JSON (${(cause as Error).message})`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw badTemplate(name, 'is not a JSON object');
  const fields = new Map<string, unknown>(Object.entries(value));
  const field = (key: string): string => {
    const found = fields.get(key);
    if (typeof found === 'string' && found !== '') return found;
    const keys = [...fields.keys()].map((k) => JSON.stringify(k)).join(', ');
    throw badTemplate(name, `"${key}" is missing or not a text; the keys there are ${keys || 'none'}`);
  };
  const description = fields.get('description');
  const template: PromptTemplate = {
    name,
    description: typeof description === 'string' ? description : '',
    promptInput: field('prompt_input'),
    promptNoInput: field('prompt_no_input'),
    responseSplit: field('response_split'),
  };
  checkPrompt(name, 'prompt_input', template.promptInput, ['{instruction}', '{input}'], template.responseSplit);
  checkPrompt(name, 'prompt_no_input', template.promptNoInput, ['{instruction}'], template.responseSplit);
  return template;
}

/**
 * The prompt of a row, ready for the answer to be appended. One pass: braces or `$` in the data are never interpreted.
 * An empty input counts as no input.
 */
export function renderPrompt(template: PromptTemplate, row: { instruction: string; input?: string }): string {
  const input = row.input ?? '';
  const values: Record<string, string> = {
    '{{': '{',
    '}}': '}',
    '{instruction}': row.instruction,
    '{input}': input,
  };
  const source = input === '' ? template.promptNoInput : template.promptInput;
  return source.replace(piece, (found) => values[found]!);
}

/** Any letter case, as in Alpaca-LoRA, but as literal text rather than as a pattern. */
function splitter(responseSplit: string): RegExp {
  return new RegExp(responseSplit.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i');
}

/** The answer in generated text that begins with its prompt: between the first and the second separator, trimmed; '' when there is none. */
export function extractResponse(template: PromptTemplate, text: string): string {
  return text.split(splitter(template.responseSplit))[1]?.trim() ?? '';
}
