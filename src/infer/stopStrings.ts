// Ends a streamed text at the first stop string, and holds back what may turn out to be the start of one.

export interface StopFilter {
  /** Takes new text; returns what may be shown now. */
  push(text: string): string;
  /** What was held back, once nothing more comes. */
  flush(): string;
  /** The stop string that was met. */
  readonly met: string | undefined;
}

export function createStopFilter(stops: readonly string[]): StopFilter {
  const wanted = stops.filter((s) => s.length > 0);
  let held = '';
  let met: string | undefined;
  return {
    get met() {
      return met;
    },
    push(text) {
      if (met !== undefined) return '';
      held += text;
      // The stop that is complete first counts, so that the result does not depend on how the text was cut into tokens.
      let start = 0;
      let end = Infinity;
      for (const s of wanted) {
        const at = held.indexOf(s);
        if (at < 0 || at + s.length > end || (at + s.length === end && at >= start)) continue;
        start = at;
        end = at + s.length;
        met = s;
      }
      if (met !== undefined) {
        const shown = held.slice(0, start);
        held = '';
        return shown;
      }
      let keep = 0;
      for (const s of wanted) {
        for (let n = Math.min(s.length - 1, held.length); n > keep; n--) {
          if (s.startsWith(held.slice(held.length - n))) {
            keep = n;
            break;
          }
        }
      }
      const shown = held.slice(0, held.length - keep);
      held = held.slice(held.length - keep);
      return shown;
    },
    flush() {
      const rest = held;
      held = '';
      return rest;
    },
  };
}
