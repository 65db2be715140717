// Decides which steps of a run are profiled, from the trainer's events: the first one warms up, a few are measured, and
// what is not part of a step (held-out loss, the check at the end) is left out. Then training goes on unprofiled.
import type { ProgramProfile, Runtime } from '../engine/index.ts';
import type { TrainEvent } from '../train/index.ts';

/** Measuring ends after so many steps, or with the step in which so many seconds are over: traces cost memory. */
const mostSteps = 10;
const mostSeconds = 20;

export interface MeasuredSteps {
  programs: ProgramProfile[];
  steps: number;
  /** Steps before the first that was measured. */
  warmUp: number;
  /** Wall-clock time of the measured steps. */
  seconds: number;
  /** Tokens of their examples. */
  tokens: number;
}

export interface StepProfileOptions {
  runtime: Pick<Runtime, 'countRuns' | 'profile'>;
  totalSteps: number;
  /** Whether the trainer computes a held-out loss before the first step, and after this one. */
  evaluates: (step: number) => boolean;
  /** The run's own: after it nothing is measured. */
  signal: AbortSignal;
  /** Called once, as soon as there is something to tell. */
  onDone: (measured: MeasuredSteps) => Promise<void>;
}

export class StepProfile {
  private readonly options: StepProfileOptions;
  private readonly warmUp: number;
  private steps = 0;
  private seconds = 0;
  private tokens = 0;
  /** When the step that is being measured began. */
  private begin: number | undefined;
  private done: Promise<void> | undefined;

  constructor(options: StepProfileOptions) {
    this.options = options;
    this.warmUp = Math.min(1, options.totalSteps - 1);
    options.runtime.countRuns(false);
  }

  observe(event: TrainEvent): void {
    if (this.done) return;
    if (event.type === 'start') {
      if (!this.options.evaluates(0)) this.open(0);
    } else if (event.type === 'heldOut') this.open(event.step);
    else this.stepEnded(event.step, event.type === 'step' ? event.tokens : 0);
  }

  /** Call when training is over. */
  async end(): Promise<void> {
    if (this.steps > 0) this.finish();
    await this.done;
  }

  /** `step` is over, and what follows is the next one. */
  private open(step: number): void {
    if (step < this.warmUp || step >= this.options.totalSteps || this.options.signal.aborted) return;
    this.options.runtime.countRuns(true);
    this.begin = performance.now();
  }

  private stepEnded(step: number, tokens: number): void {
    if (this.begin !== undefined) {
      this.options.runtime.countRuns(false);
      this.seconds += (performance.now() - this.begin) / 1000;
      this.tokens += tokens;
      this.steps++;
      this.begin = undefined;
    }
    const last = step === this.options.totalSteps || this.options.signal.aborted;
    if (this.steps === mostSteps || this.seconds >= mostSeconds || (last && this.steps > 0)) this.finish();
    else if (!this.options.evaluates(step)) this.open(step);
  }

  private finish(): void {
    const { steps, seconds, tokens, warmUp } = this;
    this.done ??= this.options.runtime.profile().then((programs) => {
      return this.options.onDone({ programs, steps, warmUp, seconds, tokens });
    });
    // Waited for at the end; a failure until then must not end the process.
    this.done.catch(() => {});
  }
}
