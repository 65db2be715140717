// How much work may be under way: answers that run or wait. Beyond it clients are told to come back, and when.
import { ApiError } from './apiError.ts';

export interface Admission {
  /**
   * Takes places for so many answers. A server without work takes any number.
   * @returns gives the places back.
   * @throws ApiError 429 with Retry-After.
   */
  enter(answers: number): () => void;
  /** Answers that run or wait. */
  readonly busy: number;
}

/** @param options.slots answers that run at once; the rest of `options.places` is the queue. */
export function createAdmission(options: { slots: number; queue: number; now?: () => number }): Admission {
  const { slots, queue, now = () => performance.now() } = options;
  const places = slots + queue;
  let busy = 0;
  /** Seconds that a request takes, smoothed. */
  let usual = 1;
  return {
    get busy() {
      return busy;
    },
    enter(answers) {
      if (busy > 0 && busy + answers > places) {
        const wait = Math.min(60, Math.max(1, Math.ceil((usual * busy) / slots)));
        throw new ApiError(429, 'queue_full', `${busy} answers run or wait, ${places} are the most; try again later`, {
          headers: { 'retry-after': String(wait) },
        });
      }
      busy += answers;
      const begin = now();
      let inside = true;
      return () => {
        if (!inside) return;
        inside = false;
        busy -= answers;
        usual += 0.2 * ((now() - begin) / 1000 - usual);
      };
    },
  };
}
