// What is seen of a run while it goes: a panel of a few lines on a terminal, plain lines in a log.
import pc from 'picocolors';
import type { Progress, Stage } from '../../selfinstruct/index.ts';
import { clock, type Output } from '../output.ts';

const stageNames: Readonly<Record<Stage, string>> = {
  tasks: 'tasks',
  instructions: '1/3 instructions',
  classification: '2/3 classification or not',
  instances: '3/3 instances',
};

const whole = (n: number) => Math.round(n).toLocaleString('en');

/** Rejected by reason, most frequent first. */
export const reasonsOf = (rejected: Progress['rejected'], most = 6): string =>
  Object.entries(rejected)
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([reason, n]) => `${reason.replaceAll('_', ' ')} ${whole(n)}`)
    .join(', ');

export interface PanelOptions {
  /** Prices are known: costs are shown. */
  priced: boolean;
  budget: { cost?: number | undefined; tokens?: number | undefined };
  /** Milliseconds; replaced in tests. */
  now?: () => number;
}

/** Lines that say where a run stands. */
export function panelLines(progress: Progress, { priced, budget }: PanelOptions, eta: number | undefined): string[] {
  const { stage, done, wanted, answers, accepted, rejected, spent } = progress;
  const share = wanted === 0 ? 1 : Math.min(1, done / wanted);
  const bar = '█'.repeat(Math.round(share * 24)).padEnd(24, '░');
  const dropped = Object.values(rejected).reduce((sum, n) => sum + n, 0);
  const rate = accepted + dropped === 0 ? '' : `, ${Math.round((100 * accepted) / (accepted + dropped))} % accepted`;
  const money = priced ? `  cost ${spent.cost.toFixed(spent.cost < 1 ? 4 : 2)}` : '';
  const limit = budget.cost !== undefined ? ` of ${budget.cost}` : '';
  return [
    `${stageNames[stage].padEnd(9)} ${bar} ${whole(done)}/${whole(wanted)}${eta === undefined ? '' : `  eta ${clock(eta)}`}`,
    `answers   ${whole(answers)}${rate}`,
    `rejected  ${whole(dropped)}${dropped > 0 ? `: ${reasonsOf(rejected)}` : ''}`,
    `tokens    ${whole(spent.promptTokens)} in, ${whole(spent.completionTokens)} out${money}${money ? limit : ''}`,
  ];
}

export class Panel {
  private readonly out: Output;
  private readonly options: PanelOptions;
  private lastDrawn = Number.NEGATIVE_INFINITY;
  private stage: Stage | undefined;
  private startedAt = 0;
  private doneAtStart = 0;
  private kept = -1;
  private latest: Progress | undefined;

  constructor(out: Output, options: PanelOptions) {
    this.out = out;
    this.options = options;
  }

  update(progress: Progress): void {
    const now = (this.options.now ?? Date.now)();
    if (progress.stage !== this.stage) {
      this.end();
      this.stage = progress.stage;
      this.startedAt = now;
      this.doneAtStart = progress.done;
      this.kept = -1;
    }
    this.latest = progress;
    const made = progress.done - this.doneAtStart;
    const eta = made > 0 ? ((progress.wanted - progress.done) * (now - this.startedAt)) / made / 1000 : undefined;
    if (this.out.live) {
      // Ten frames a second are enough for anybody.
      if (now - this.lastDrawn < 100 && progress.done < progress.wanted) return;
      this.lastDrawn = now;
      this.draw(progress, eta);
      return;
    }
    const twentieth = progress.wanted === 0 ? 20 : Math.floor((progress.done * 20) / progress.wanted);
    if (twentieth === this.kept) return;
    this.kept = twentieth;
    const [head, ...rest] = panelLines(progress, this.options, eta);
    this.out.say([head!.replace(/[█░]+ /, ''), ...rest].map((line) => line.replace(/\s{2,}/g, ' ')).join('; '));
  }

  /** Something beside the panel: a retry, an endpoint that rests. */
  note(text: string): void {
    this.out.panel([]);
    this.out.say(pc.dim(text));
    if (this.latest) this.draw(this.latest, undefined);
  }

  /** The last state stays on the screen. */
  end(): void {
    if (this.latest) this.draw(this.latest, undefined);
    this.out.keepPanel();
  }

  private draw(progress: Progress, eta: number | undefined): void {
    this.out.panel(panelLines(progress, this.options, eta));
  }
}
