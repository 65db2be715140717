// What Ctrl-C means at each moment: it stops an answer, clears what was typed, and leaves only when it is pressed twice.

export type Interrupt = 'stop' | 'clear' | 'warn' | 'leave';

export interface Interrupts {
  press(now: { answering: boolean; typed: boolean }): Interrupt;
  /** Something else happened in between. */
  reset(): void;
}

export function createInterrupts(): Interrupts {
  let warned = false;
  return {
    press({ answering, typed }) {
      if (answering || typed) {
        warned = false;
        return answering ? 'stop' : 'clear';
      }
      if (warned) return 'leave';
      warned = true;
      return 'warn';
    },
    reset() {
      warned = false;
    },
  };
}
