// Runs a Jinja template that came with a model, with @huggingface/jinja. Its interpreter knows only its own values (no
// JavaScript object is reachable from a template); what it lacks are bounds, and they are added here.
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { HuacayaError } from '../base/index.ts';
import { formatTime } from './formatTime.ts';

/** Published templates have up to some 20,000 characters. */
const LONGEST_TEMPLATE = 200_000;
/** Evaluated nodes; a chat of a hundred messages takes some ten thousand. */
const MOST_STEPS = 2_000_000;
const LONGEST_RANGE = 10_000;
/** Beyond what the messages bring along. */
const LONGEST_OUTPUT = 1_000_000;

export type ParsedTemplate = ReturnType<typeof parse>;

/** Spelled out because the library's own declarations do not resolve under Node's module rules. */
interface LibraryInterpreter {
  run(template: ParsedTemplate): { value: unknown };
  evaluate(statement: unknown, environment: unknown): { value: unknown };
}
const BaseInterpreter = Interpreter as new (environment: Environment) => LibraryInterpreter;

const HINT = 'The template is part of the model; a prompt template such as alpaca works without it.';
const bad = (why: string, cause?: unknown) =>
  new HuacayaError('BAD_CHAT_TEMPLATE', `the model's chat template ${why}`, { hint: HINT, cause });

/** @throws HuacayaError BAD_CHAT_TEMPLATE. */
export function parseTemplate(source: string): ParsedTemplate {
  if (source.length > LONGEST_TEMPLATE) {
    throw bad(`has ${source.length} characters; ${LONGEST_TEMPLATE} is the most`);
  }
  try {
    return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    throw bad(`cannot be read: ${(cause as Error).message}`, cause);
  }
}

/** Counts steps and looks at the length of every text and list that comes into being. */
class BoundedInterpreter extends BaseInterpreter {
  #steps = 0;
  readonly #longest: number;

  constructor(environment: Environment, longest: number) {
    super(environment);
    this.#longest = longest;
  }

  override evaluate(statement: unknown, environment: unknown): { value: unknown } {
    if (++this.#steps > MOST_STEPS) throw bad(`does not come to an end (${MOST_STEPS} steps)`);
    const result = super.evaluate(statement, environment);
    const { value } = result;
    const length = typeof value === 'string' || Array.isArray(value) ? value.length : 0;
    if (length > this.#longest) throw bad(`makes a text or list of ${length} items; ${this.#longest} is the most`);
    return result;
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
    const longest = LONGEST_OUTPUT + 4 * JSON.stringify(variables).length;
    return String(new BoundedInterpreter(environment, longest).run(template).value);
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
      throw new HuacayaError('CHAT_REFUSED', `the model's chat template refuses these messages: ${String(message)}`);
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
