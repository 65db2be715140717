// What an outcome says about the endpoint itself, and how long its request waits for the next try.
import type { HuacayaError } from '../../base/index.ts';
import { busyError } from './errors.ts';
import type { Outcome } from './judge.ts';
import type { Patience, TeacherEvent } from './options.ts';
import type { Pool } from './pool.ts';
import type { Station } from './station.ts';
import { backoff } from './waits.ts';

export interface Watch {
  patience: Patience;
  pool: Pool;
  emit(event: TeacherEvent): void;
}

/** Failures, pauses, rests and what was learned; then whoever waits is looked at again. */
export function noteOutcome({ patience, pool, emit }: Watch, station: Station, outcome: Outcome): void {
  const { name: endpoint } = station;
  const now = Date.now();
  const kill = (error: HuacayaError) => {
    if (station.dead) return;
    station.dead = error;
    emit({ type: 'paused', endpoint, reason: error.message });
  };
  const pause = (waitMs: number, reason: string) => {
    if (station.pausedUntil >= now + waitMs) return;
    // Told once for all requests that were under way.
    if (station.pausedUntil <= now) emit({ type: 'paused', endpoint, reason, waitMs });
    // A little longer, so that clients do not come back in step.
    station.pausedUntil = now + waitMs * (1 + Math.random() / 10);
  };
  if (outcome.kind === 'dead') kill(outcome.error);
  else if (outcome.kind === 'again') {
    const { message } = outcome.error;
    if (outcome.busy) {
      const waitMs = outcome.waitMs ?? backoff(station.failures++, patience.firstWaitMs, patience.longestWaitMs);
      if (waitMs > patience.longestPauseMs) kill(busyError(station, outcome.said, waitMs));
      else pause(waitMs, message);
    } else if (++station.failures >= patience.breakAfter && station.pausedUntil <= now) {
      pause(patience.restMs * 2 ** Math.min(2, station.rests++), message);
    }
  } else {
    // Even a refusal shows that it works.
    station.failures = 0;
    station.rests = 0;
    if (outcome.kind === 'answer') {
      station.worked = true;
      station.refusals = 0;
    }
    if (outcome.kind === 'adapt') {
      const known = JSON.stringify([station.learned, [...station.learned.without]]);
      outcome.apply(station.learned);
      if (JSON.stringify([station.learned, [...station.learned.without]]) !== known) {
        emit({ type: 'adapted', endpoint, what: outcome.what });
      }
    }
  }
  pool.changed();
}

/** @param others whether another endpoint can take it. */
export function waitFor(outcome: Outcome & { kind: 'again' }, n: number, others: boolean, patience: Patience): number {
  const { firstWaitMs, longestWaitMs, longestPauseMs } = patience;
  const { busy, waitMs = 0, maybePaid } = outcome;
  // The endpoint is paused as a whole, and another one may take it at once.
  if (busy) return waitMs > 0 ? 0 : backoff(n, firstWaitMs / 20, firstWaitMs);
  if (others && !maybePaid) return 0;
  return Math.max(Math.min(waitMs, longestPauseMs), backoff(n, firstWaitMs, longestWaitMs));
}
