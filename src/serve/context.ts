// What the routes share.
import type { Assistant } from '../assistant/index.ts';
import type { Admission } from './admission.ts';
import type { Meters } from './meters.ts';
import type { ServerSettings } from './settings.ts';

export interface ServerContext {
  readonly assistant: Assistant;
  readonly settings: ServerSettings;
  readonly admission: Admission;
  readonly meters: Meters;
  /** Ends the running answers for a reason; one for each request that generates. */
  readonly running: Set<(reason: Error) => void>;
  /** Start of the server, seconds since the epoch. */
  readonly created: number;
  draining: boolean;
}
