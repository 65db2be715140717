// Which slot of the engine a request gets. A slot keeps the keys and values of what it answered last, so that a request that
// starts with the same tokens (a system prompt, the chat so far) only computes the rest.

export interface Slot {
  readonly index: number;
  /** Tokens whose keys and values it holds. */
  tokens: number[];
  /** What they were computed with; '' for no adapter. */
  adapter: string;
  busy: boolean;
  /** When it was last given back, as a counter. */
  used: number;
}

/** Keys and values of tokens [from, to) that another slot has. */
export interface Loan {
  source: Slot;
  from: number;
  to: number;
}

/** Copying is worth it from so many tokens on. */
const worthCopying = 16;

const commonPrefix = (a: readonly number[], b: readonly number[], most: number) => {
  let n = 0;
  while (n < most && n < a.length && a[n] === b[n]) n++;
  return n;
};

/** The first of the smallest by the first key, then the second, ... */
const least = <T>(items: readonly T[], keys: (item: T) => readonly number[]): T | undefined =>
  [...items].sort((a, b) => {
    const [x, y] = [keys(a), keys(b)];
    const at = x.findIndex((key, i) => key !== y[i]);
    return at < 0 ? 0 : x[at]! - y[at]!;
  })[0];

export function createSlots(count: number) {
  const slots: Slot[] = Array.from({ length: count }, (_, index) => ({
    index,
    tokens: [],
    adapter: '',
    busy: false,
    used: 0,
  }));
  let clock = 0;
  // The last token of a prompt is always computed: its logits are wanted.
  const shared = (s: Slot, prompt: readonly number[], adapter: string) =>
    s.adapter === adapter ? commonPrefix(s.tokens, prompt, prompt.length - 1) : 0;
  /** How many rows more a pass over all busy slots would have: it takes those between them along. */
  const growth = (s: Slot) => {
    const busy = slots.filter((b) => b.busy);
    if (busy.length === 0) return 0;
    return Math.max(0, busy[0]!.index - s.index, s.index - busy.at(-1)!.index);
  };

  return {
    all: slots as readonly Slot[],
    /** Takes a free slot for a prompt; its `tokens` are then what it holds of it. Undefined when all are busy. */
    take(prompt: readonly number[], adapter: string): Slot | undefined {
      const free = slots.filter((s) => !s.busy);
      const longest = least(free, (s) => [-shared(s, prompt, adapter), s.tokens.length]);
      if (!longest) return undefined;
      const kept = shared(longest, prompt, adapter);
      // A slot that would lose more than it keeps is better left as it is: what it has of the prompt can be borrowed.
      const goesOn = kept > 0 && longest.tokens.length - kept <= kept;
      const others = kept >= worthCopying && free.length > 1 ? free.filter((s) => s !== longest) : free;
      const slot = goesOn
        ? longest
        : least(others, (s) => [growth(s), s.tokens.length === 0 ? 0 : 1, s.used, s.index])!;
      slot.tokens = prompt.slice(0, shared(slot, prompt, adapter));
      slot.adapter = adapter;
      slot.busy = true;
      return slot;
    },
    /** What a slot that holds the beginning of a prompt may get from another one, if that is worth it: it counts as got. */
    borrow(slot: Slot, prompt: readonly number[]): Loan | undefined {
      const from = slot.tokens.length;
      const others = slots.filter((s) => s !== slot);
      const source = least(others, (s) => [-shared(s, prompt, slot.adapter)]);
      const to = source ? shared(source, prompt, slot.adapter) : 0;
      if (!source || to < from + worthCopying) return undefined;
      slot.tokens = prompt.slice(0, to);
      return { source, from, to };
    },
    give(slot: Slot): void {
      slot.busy = false;
      slot.used = ++clock;
    },
    /**
     * Free slots between busy ones cost as much as those. Where there are many, says which busy slots are to be moved to
     * which free ones.
     */
    gather(): [from: Slot, to: Slot][] {
      const busy = slots.filter((s) => s.busy);
      const holes = busy.length === 0 ? 0 : busy.at(-1)!.index - busy[0]!.index + 1 - busy.length;
      if (holes < 2 || 2 * holes <= busy.length) return [];
      const windows = slots.slice(0, count - busy.length + 1).map((s) => slots.slice(s.index, s.index + busy.length));
      const inside = least(windows, (w) => [w.filter((s) => !s.busy).length, Math.max(...w.map((s) => s.used))])!;
      const room = inside.filter((s) => !s.busy);
      return busy.filter((s) => !inside.includes(s)).map((from, i) => [from, room[i]!]);
    },
    /** `to` is now what `from` was; its content was copied. */
    move(from: Slot, to: Slot): void {
      Object.assign(to, { tokens: [...from.tokens], adapter: from.adapter, busy: true });
      // The copy that stays is the first to go.
      Object.assign(from, { busy: false, used: 0 });
    },
    /** What was computed with an adapter is worth nothing once it is gone. */
    forget(isGone: (adapter: string) => boolean): void {
      for (const s of slots) if (isGone(s.adapter)) s.tokens = [];
    },
  };
}

export type Slots = ReturnType<typeof createSlots>;
