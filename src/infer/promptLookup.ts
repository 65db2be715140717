// Prompt-lookup decoding (Saxena 2023): where the last tokens came up before, what followed them then is a guess at what comes
// next. The model checks all guesses in one pass; those that it would have chosen itself are kept, so the text is the same.

/** Tokens that must agree, and most tokens that are guessed. */
const pattern = 3;
export const longestGuess = 4;

/** What followed the last tokens of `ids` when they last came up before; [] when they did not. */
export function guessNext(ids: readonly number[], most = longestGuess): number[] {
  const end = ids.length;
  const [a, b, c] = [ids[end - 3], ids[end - 2], ids[end - 1]];
  for (let at = end - pattern - 1; at >= 0; at--) {
    if (ids[at] !== a || ids[at + 1] !== b || ids[at + 2] !== c) continue;
    const guess: number[] = [];
    for (let i = at + pattern; guess.length < most; i++) {
      // Where it came up so lately that nothing more is known, it goes round.
      guess.push(i < end ? ids[i]! : guess[i - end]!);
    }
    return guess;
  }
  return [];
}

/** Whether guessing pays: a pass with guesses costs more than one without, and texts differ in how often they repeat. */
export function createGuessMeter() {
  let rate = 1;
  let pause = 0;
  return {
    /** Called once a token; after a bad run guessing rests for a while. */
    wanted(): boolean {
      if (pause > 0) {
        pause--;
        return false;
      }
      return true;
    },
    /** @param kept guesses that were right. */
    note(kept: number): void {
      rate = 0.7 * rate + 0.3 * kept;
      if (rate >= 0.7) return;
      pause = 16;
      rate = 1;
    },
  };
}
