// The few best of many: highest score first, the earlier text first among equals, in whatever order they were offered.

export class NearestList {
  readonly scores: number[] = [];
  readonly ids: number[] = [];
  private readonly most: number;

  /** @param most from 1. */
  constructor(most: number) {
    this.most = most;
  }

  /** What a text must at least score to get in: with exactly this only if it is earlier than the last one here. */
  get bar(): number {
    return this.scores[this.most - 1] ?? 0;
  }

  offer(score: number, id: number): void {
    const { scores, ids, most } = this;
    let at = scores.length;
    while (at > 0 && (score > scores[at - 1]! || (score === scores[at - 1]! && id < ids[at - 1]!))) at--;
    if (at >= most) return;
    scores.splice(at, 0, score);
    ids.splice(at, 0, id);
    if (scores.length > most) {
      scores.pop();
      ids.pop();
    }
  }
}
