// Constrained generation: who decides which tokens may come next.

/** Belongs to one request and follows its tokens. */
export interface TokenConstraint {
  /**
   * One bit a token, lowest first in each word: set where the token may come next. [ceil(vocab / 32)]. The array may be
   * reused by the next call.
   */
  allowed(): Uint32Array;
  /** Takes the token that was chosen. */
  accept(id: number): void;
}
