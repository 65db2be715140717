// What a pull tells its caller: everything that a download tells, and the plan before it.
import type { HubEvent, ModelSource } from './events.ts';
import type { DownloadPlan } from './hubDownload.ts';

export type PullSource = ModelSource | 'modelscope';

export type PullEvent =
  | Exclude<HubEvent, { type: 'source' }>
  /** A source is about to be tried. `reason` says why it is not the one before it. */
  | { type: 'source'; source: PullSource; from: string; reason?: string }
  /** Which files there are, before the first is fetched. */
  | { type: 'plan'; plan: DownloadPlan };

export type OnPullEvent = (event: PullEvent) => void;
