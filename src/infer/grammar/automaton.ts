// Follows a grammar byte by byte. A state is the set of all ways to read the text so far; states are made when they are
// first reached and then found in a table, so that most steps are one look-up.
import { deepest, type Expr, type Grammar, type Lexeme, type Repeat } from './grammar.ts';

/** A place in the grammar, and where to go on once this part is done: a stack whose lower parts are shared. */
interface Frame {
  /** undefined: the bottom of all stacks. */
  readonly expr: Expr | undefined;
  /** Node of a lexeme, next item of a sequence, items that a repetition will have had. */
  readonly at: number;
  readonly parent: Frame | undefined;
  readonly depth: number;
  readonly id: number;
  readonly above: Map<number, Frame>;
  /** The frame that stands for it in `similar`. */
  like?: Frame;
}

export interface State {
  readonly frames: readonly Frame[];
  readonly complete: boolean;
}

/** No way leads on from here. */
export const dead = 0;
const unknown = -1;
/** Ambiguous grammars may read a text in more ways; the others are dropped, which only forbids some texts. */
const mostFrames = 128;
const mostStates = 20_000;

export class Automaton {
  /** Classes of bytes that no part of the grammar tells apart. [256] */
  readonly classOf = new Uint8Array(256);
  readonly classes: number;
  /** [state * classes + class] -> state, or -1 where nobody has been. Replaced when it grows. */
  table = new Int32Array(0);
  /** [state] -> in how many ways the text so far is read: what a step costs at most. Replaced with the table. */
  readings = new Uint16Array(0);
  /** [state] -> the last walk that came by. Replaced with the table. */
  visits = new Int32Array(0);
  walks = 0;
  /** How often it was renewed. */
  generation = 0;
  private readonly root: Expr;
  private readonly reach: number;
  /** The character of a free string, for `freeText`. */
  private readonly char: Expr | undefined;
  private states: State[] = [];
  private byFrames = new Map<string, number>();
  private bottom!: Frame;
  private frameCount = 0;

  /** @param reach bytes of the longest token. */
  constructor(grammar: Grammar, root: Expr, reach: number, char?: Expr) {
    this.reach = reach;
    this.root = root;
    this.char = char;
    this.classes = this.findClasses(grammar);
    this.clear();
  }

  /** Time to renew it. */
  get full(): boolean {
    return this.states.length > mostStates;
  }

  start(): number {
    return this.stateOf((to) => this.enter(this.root, this.bottom, to));
  }

  next(state: number, byte: number): number {
    const place = state * this.classes + this.classOf[byte]!;
    const known = this.table[place]!;
    if (known !== unknown) return known;
    const { frames } = this.states[state]!;
    const made = this.stateOf((to) => {
      for (const frame of frames) {
        const lexeme = frame.expr as Lexeme;
        for (const edge of lexeme.edges[frame.at]!) {
          if (byte >= edge.lo && byte <= edge.hi) this.land(lexeme, edge.to, frame.parent!, to);
        }
      }
    });
    this.table[place] = made;
    return made;
  }

  /** The text may end here. */
  complete(state: number): boolean {
    return this.states[state]!.complete;
  }

  /** How many more characters fit wherever the text of a free string may stand; 0 when it stands elsewhere. */
  freeText(state: number): number {
    let room = 0;
    for (const { expr, at, parent } of this.states[state]!.frames) {
      if (expr !== this.char || at !== 0 || parent?.expr?.kind !== 'repeat') continue;
      const { max } = parent.expr;
      room = Math.max(room, max === Number.POSITIVE_INFINITY ? max : max - parent.at + 1);
    }
    return room;
  }

  /** A state from which the same tokens lead on: counters that are far from their bounds are made equal. */
  similar(state: number): number {
    const { frames } = this.states[state]!;
    return this.stateOf((to) => {
      for (const frame of frames) to.frames.add(this.like(frame));
      to.complete = this.states[state]!.complete;
    });
  }

  /** What lies behind a number, to be handed to `adopt` once the automaton was renewed. */
  stateAt(state: number): State {
    return this.states[state]!;
  }

  /** @returns the number of a state that comes from before `renew`. */
  adopt(state: State): number {
    return this.stateOf((to) => {
      for (const frame of state.frames) to.frames.add(this.copy(frame));
      to.complete = state.complete;
    });
  }

  /** Forgets all states: memory stays bounded. Numbers from before mean nothing afterwards. */
  renew(): void {
    this.generation++;
    this.clear();
  }

  private clear(): void {
    this.bottom = { expr: undefined, at: 0, parent: undefined, depth: 0, id: this.frameCount++, above: new Map() };
    this.states = [{ frames: [], complete: false }];
    this.byFrames = new Map();
    this.table = new Int32Array(64 * this.classes).fill(unknown);
    this.table.fill(dead, 0, this.classes);
    this.readings = new Uint16Array(64);
    this.visits = new Int32Array(64);
  }

  private stateOf(collect: (to: Collector) => void): number {
    const to: Collector = { frames: new Set(), seen: new Set(), complete: false };
    collect(to);
    if (to.frames.size === 0 && !to.complete) return dead;
    const frames = [...to.frames].sort((a, b) => a.id - b.id);
    const key = frames.map((frame) => frame.id).join(to.complete ? ';' : ',') + (to.complete ? ';' : '');
    const known = this.byFrames.get(key);
    if (known !== undefined) return known;
    const state = this.states.push({ frames, complete: to.complete }) - 1;
    this.byFrames.set(key, state);
    if ((state + 1) * this.classes > this.table.length) {
      this.table = grown(this.table, new Int32Array(this.table.length * 2).fill(unknown, this.table.length));
      this.readings = grown(this.readings, new Uint16Array(this.readings.length * 2));
      this.visits = grown(this.visits, new Int32Array(this.visits.length * 2));
    }
    this.readings[state] = frames.length;
    return state;
  }

  /** The one frame of this kind; equal frames are the same object. */
  private frame(expr: Expr, at: number, parent: Frame): Frame {
    const key = expr.index * 2 ** 32 + at;
    let frame = parent.above.get(key);
    if (!frame) {
      const depth = parent.depth + (expr.kind === 'nest' ? 1 : 0);
      frame = { expr, at, parent, depth, id: this.frameCount++, above: new Map() };
      parent.above.set(key, frame);
    }
    return frame;
  }

  private enter(expr: Expr, parent: Frame, to: Collector): void {
    if (parent.depth + expr.depth > deepest) return;
    switch (expr.kind) {
      case 'lexeme':
        this.land(expr, 0, parent, to);
        return;
      case 'sequence':
        this.continueSequence(expr.items, expr, 0, parent, to);
        return;
      case 'repeat':
        this.continueRepeat(expr, 0, parent, to);
        return;
      case 'nest':
        this.enter(expr.item, this.frame(expr, 0, parent), to);
        return;
      case 'choice':
      case 'reference': {
        // A grammar may lead back here without having read anything.
        const here = this.frame(expr, 0, parent);
        if (to.seen.has(here)) return;
        to.seen.add(here);
        const items = expr.kind === 'choice' ? expr.items : [expr.target!];
        for (const item of items) this.enter(item, parent, to);
        return;
      }
    }
  }

  /** Node `at` of a lexeme was reached. */
  private land(lexeme: Lexeme, at: number, parent: Frame, to: Collector): void {
    if (lexeme.edges[at]!.length > 0 && to.frames.size < mostFrames) to.frames.add(this.frame(lexeme, at, parent));
    if (lexeme.ends[at]) this.leave(parent, to);
  }

  /** What stood on top of this frame is done. */
  private leave(frame: Frame, to: Collector): void {
    if (to.seen.has(frame)) return;
    to.seen.add(frame);
    const { expr, at, parent } = frame;
    if (!expr) to.complete = true;
    else if (expr.kind === 'sequence') this.continueSequence(expr.items, expr, at, parent!, to);
    else if (expr.kind === 'repeat') this.continueRepeat(expr, at, parent!, to);
    else this.leave(parent!, to);
  }

  private continueSequence(items: readonly Expr[], expr: Expr, at: number, parent: Frame, to: Collector): void {
    if (at === items.length) this.leave(parent, to);
    else this.enter(items[at]!, at === items.length - 1 ? parent : this.frame(expr, at + 1, parent), to);
  }

  private continueRepeat(repeat: Repeat, count: number, parent: Frame, to: Collector): void {
    if (count >= repeat.min) this.leave(parent, to);
    if (count >= repeat.max) return;
    const next = repeat.max === Number.POSITIVE_INFINITY ? Math.min(count + 1, repeat.min) : count + 1;
    this.enter(repeat.item, this.frame(repeat, next, parent), to);
  }

  private like(frame: Frame): Frame {
    const { expr, at, parent } = frame;
    if (!expr) return frame;
    frame.like ??= this.frame(expr, expr.kind === 'repeat' ? nearBound(expr, at, this.reach) : at, this.like(parent!));
    return frame.like;
  }

  /** The same frame over the present bottom. */
  private copy({ expr, at, parent }: Frame): Frame {
    return expr ? this.frame(expr, at, this.copy(parent!)) : this.bottom;
  }

  private findClasses(grammar: Grammar): number {
    const begins = new Uint8Array(257);
    for (const expr of grammar.all) {
      if (expr.kind !== 'lexeme') continue;
      for (const edges of expr.edges) for (const { lo, hi } of edges) begins[lo] = begins[hi + 1] = 1;
    }
    let last = 0;
    for (let byte = 1; byte < 256; byte++) this.classOf[byte] = begins[byte] ? ++last : last;
    return last + 1;
  }
}

interface Collector {
  frames: Set<Frame>;
  seen: Set<Frame>;
  complete: boolean;
}

function grown<T extends Int32Array | Uint16Array>(from: T, into: T): T {
  into.set(from);
  return into;
}

/** The count that stands for all from which no bound is within reach. */
function nearBound({ min, max }: Repeat, count: number, reach: number): number {
  if (min - count > reach) return min - reach - 1;
  if (count >= min && max !== Number.POSITIVE_INFINITY && max - count > reach) return Math.max(min, max - reach - 1);
  return count;
}
