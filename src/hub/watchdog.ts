// A deadline that can be set again and again, joined with the caller's own way to stop.
import type { HuacayaError } from '../base/index.ts';

export interface Watchdog {
  /** Aborted by a deadline, by `stop`, or by the caller's signal. */
  signal: AbortSignal;
  /** The caller's signal. */
  outer: AbortSignal | undefined;
  /** Starts the only deadline anew: after `ms` the signal is aborted with `error()`. */
  arm(ms: number, error: () => HuacayaError): void;
  disarm(): void;
  /** Ends whatever listens to the signal. */
  stop(): void;
}

export function watchdog(outer: AbortSignal | undefined): Watchdog {
  const control = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const disarm = () => clearTimeout(timer);
  return {
    signal: outer ? AbortSignal.any([control.signal, outer]) : control.signal,
    outer,
    arm(ms, error) {
      disarm();
      timer = setTimeout(() => control.abort(error()), ms);
    },
    disarm,
    stop() {
      disarm();
      control.abort();
    },
  };
}
