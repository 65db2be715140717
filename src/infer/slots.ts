// Which slot of the engine a request gets. A slot keeps the keys and values of what it answered last, so that a request that
// starts with the same tokens (a system prompt, the chat so far) only computes the rest.

export interface Slot {
  readonly index: number;
  /** Tokens whose keys and values it holds. */
  tokens: number[];
  /** The adapter that they were computed with; '' for none. */
  adapter: string;
  busy: boolean;
  /** When it was last given back, as a counter. */
  used: number;
}

export interface Placement {
  slot: Slot;
  /** First tokens of the prompt that are there, perhaps after copying. */
  cached: number;
  /** Where [from, cached) is to be copied from. */
  copy?: { source: Slot; from: number };
}

/** Copying is worth it from so many tokens on. */
const worthCopying = 16;

const commonPrefix = (a: readonly number[], b: readonly number[], most: number) => {
  let n = 0;
  while (n < most && n < a.length && a[n] === b[n]) n++;
  return n;
};

export function createSlots(count: number) {
  const slots: Slot[] = Array.from({ length: count }, (_, index) => ({
    index,
    tokens: [],
    adapter: '',
    busy: false,
    used: 0,
  }));
  let clock = 0;
  return {
    all: slots as readonly Slot[],
    /** Takes a free slot for a prompt; undefined when there is none. The last token is always computed: its logits are wanted. */
    take(prompt: readonly number[], adapter: string): Placement | undefined {
      const shared = (s: Slot) => (s.adapter === adapter ? commonPrefix(s.tokens, prompt, prompt.length - 1) : 0);
      const free = slots.filter((s) => !s.busy);
      if (free.length === 0) return undefined;
      // The longest common beginning; else the slot whose tokens were used longest ago, low ones first.
      let slot = free[0]!;
      let cached = shared(slot);
      for (const s of free.slice(1)) {
        const n = shared(s);
        const emptier =
          n === cached &&
          cached === 0 &&
          (s.tokens.length === 0 ? -1 : s.used) < (slot.tokens.length === 0 ? -1 : slot.used);
        if (n > cached || emptier) [slot, cached] = [s, n];
      }
      let copy: Placement['copy'];
      for (const source of slots) {
        const n = source === slot ? 0 : shared(source);
        if (n < cached + worthCopying || (copy && n <= commonPrefix(copy.source.tokens, prompt, prompt.length - 1)))
          continue;
        copy = { source, from: cached };
      }
      // A slot that holds much is better kept when its beginning can be had from another one, or is short.
      if (copy) {
        const spare = free
          .filter((s) => s !== copy!.source)
          .sort((a, b) => a.tokens.length - b.tokens.length || a.index - b.index)[0];
        if (spare && spare !== slot && spare.tokens.length === 0) {
          slot = spare;
          copy = { source: copy.source, from: 0 };
        }
        cached = shared(copy.source);
      }
      slot.busy = true;
      slot.adapter = adapter;
      slot.tokens = prompt.slice(0, cached);
      return { slot, cached, ...(copy ? { copy } : {}) };
    },
    give(slot: Slot): void {
      slot.busy = false;
      slot.used = ++clock;
    },
    /** What was computed with an adapter is worth nothing once it is gone. */
    forget(isGone: (adapter: string) => boolean): void {
      for (const s of slots) if (!s.busy && isGone(s.adapter)) s.tokens = [];
    },
  };
}
