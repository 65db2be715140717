// Runs a Jinja template that came with a model, with @huggingface/jinja. Its interpreter knows only its own values (no
// JavaScript object is reachable from a template); what it lacks are bounds, and they are added here.
import { Environment, parse, tokenize } from '@huggingface/jinja';
import { HuacayaError } from '../base/index.ts';
import { BoundedInterpreter, badTemplate as bad } from './boundedInterpreter.ts';
import { formatTime } from './formatTime.ts';

/** Published templates have up to some 20,000 characters. */
const LONGEST_TEMPLATE = 100_000;
/** The library's lexer takes quadratic time on these. */
const BLANKS = /\s{1000}/;
const LONGEST_RANGE = 10_000;

export type ParsedTemplate = ReturnType<typeof parse>;

/** @throws HuacayaError BAD_CHAT_TEMPLATE. */
export function parseTemplate(source: string): ParsedTemplate {
  if (source.length > LONGEST_TEMPLATE) {
    throw bad(`has ${source.length} characters; ${LONGEST_TEMPLATE} is the most`);
  }
  if (BLANKS.test(source)) throw bad('has a thousand blanks in a row');
  try {
    return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    throw bad(`cannot be read: ${(cause as Error).message}`, cause);
  }
}

/**
 * @param variables plain JSON-like values.
 * @throws HuacayaError BAD_CHAT_TEMPLATE, CHAT_REFUSED.
 */
export function runTemplate(template: ParsedTemplate, variables: Record<string, unknown>, now: Date): string {
  try {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...globals(now), ...variables })) environment.set(name, value);
    const given = JSON.stringify(variables).length;
    return String(new BoundedInterpreter(environment, given).run(template).value);
  } catch (cause) {
    if (cause instanceof HuacayaError) throw cause;
    throw bad(`failed: ${(cause as Error).message}`, cause);
  }
}

/** What Hugging Face's templates may call. Arguments come from the template: anything but text and numbers is refused. */
function globals(now: Date): Record<string, unknown> {
  return {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    raise_exception(message: unknown) {
      // The words are a stranger's and will be printed: no control characters, no novels.
      const words = String(message)
        .replace(/\p{Cc}+/gu, ' ')
        .slice(0, 500);
      throw new HuacayaError('CHAT_REFUSED', `the model's chat template refuses these messages: ${words}`);
    },
    strftime_now: (format: unknown) => formatTime(now, String(format)),
    range: (...bounds: unknown[]) => boundedRange(bounds),
  };
}

/** Python's range(stop), range(start, stop), range(start, stop, step). */
function boundedRange(bounds: unknown[]): number[] {
  const numbers = bounds.filter((bound) => typeof bound === 'number');
  if (numbers.length !== bounds.length || bounds.length < 1 || bounds.length > 3) throw bad('calls range() wrongly');
  const [start, stop, step] = bounds.length === 1 ? [0, numbers[0]!, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= LONGEST_RANGE)) throw bad(`asks for a range of ${length} numbers; ${LONGEST_RANGE} is the most`);
  return Array.from({ length }, (_, i) => start + i * step);
}
