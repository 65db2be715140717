// The Jinja interpreter with bounds on work and memory: a template is a program from a stranger.
import { type Environment, Interpreter, type parse } from '@huggingface/jinja';
import { HuacayaError } from '../base/index.ts';

/** Units of work, and characters of one value; what the messages bring along comes on top. */
const MOST_WORK = 1_000_000;
const LONGEST_VALUE = 1_000_000;
/** The interpreter makes some twenty objects for a turn of a loop. */
const WORK_OF_A_TURN = 16;
const WORK_OF_A_CHARACTER = 1 / 16;

const HINT = 'The template is part of the model; a prompt template such as alpaca works without it.';

export const badTemplate = (why: string, cause?: unknown) =>
  new HuacayaError('BAD_CHAT_TEMPLATE', `the model's chat template ${why}`, { hint: HINT, cause });

/** The library's own declarations do not resolve under Node's module rules: what is used of them is spelled out. */
interface Value {
  type: string;
  value: unknown;
}

interface TemplateNode {
  type: string;
  /** Of For. */
  iterable?: TemplateNode;
  /** Of SelectExpression, the `list if condition` of a loop. */
  lhs?: TemplateNode;
}

interface LibraryInterpreter {
  run(template: ReturnType<typeof parse>): Value;
  evaluate(node: TemplateNode | undefined, environment: unknown): Value;
}
const BaseInterpreter = Interpreter as new (environment: Environment) => LibraryInterpreter;

export class BoundedInterpreter extends BaseInterpreter {
  #work = 0;
  readonly #given: number;
  /** What loops go through: there a turn is work even if the loop's body is empty. */
  readonly #lists = new WeakSet<TemplateNode>();
  readonly #weights = new WeakMap<object, number>();

  /** @param given characters in the variables. */
  constructor(environment: Environment, given: number) {
    super(environment);
    this.#given = given;
  }

  override evaluate(node: TemplateNode | undefined, environment: unknown): Value {
    if (node?.type === 'For') this.#lists.add(listOf(node.iterable!));
    this.#spend(1);
    const result = super.evaluate(node, environment);
    const weight = this.#weigh(result);
    const heaviest = LONGEST_VALUE + 4 * this.#given;
    if (weight > heaviest) throw badTemplate(`makes a value of ${weight} characters; ${heaviest} is the most`);
    if (node) this.#spend(this.#workOf(node, result));
    return result;
  }

  #workOf(node: TemplateNode, { value }: Value): number {
    if (typeof value === 'string') return value.length * WORK_OF_A_CHARACTER;
    const items = Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0;
    if (this.#lists.has(node)) return items * WORK_OF_A_TURN;
    // A name only points at a list, everything else makes a new one.
    return node.type === 'Identifier' ? 0 : items;
  }

  #spend(work: number): void {
    this.#work += work;
    const most = MOST_WORK + 4 * this.#given;
    if (this.#work > most) throw badTemplate(`does not come to an end within ${most} steps`);
  }

  /** Characters and items, as if printed: a list that holds another one twice weighs twice as much. */
  #weigh(item: Value): number {
    if (typeof item.value === 'string') return item.value.length;
    const known = this.#weights.get(item);
    if (known !== undefined) return known;
    const inside = Array.isArray(item.value) ? item.value : item.value instanceof Map ? item.value.values() : [];
    let weight = 1;
    for (const child of inside as Iterable<Value>) {
      // Only namespaces can change: with one of them inside, a weight would not last.
      if (child.type === 'NamespaceValue') throw badTemplate('puts a namespace into a list');
      weight += this.#weigh(child);
    }
    if (item.type !== 'NamespaceValue') this.#weights.set(item, weight);
    return weight;
  }
}

const listOf = (iterable: TemplateNode) => (iterable.type === 'SelectExpression' ? iterable.lhs! : iterable);
