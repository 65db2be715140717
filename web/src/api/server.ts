// What the page knows of its server: what it serves, and whether it answers.
import { signal } from '@preact/signals';
import { ApiError } from './apiError.ts';
import { request } from './request.ts';
import type { ServerInfo } from './types.ts';

/** Absent until the server has answered once; kept while it is away. */
export const serverInfo = signal<ServerInfo | undefined>(undefined);
/** Why the last look failed; absent when it worked. */
export const serverProblem = signal<ApiError | undefined>(undefined);

const retryMs = 3000;
let timer: ReturnType<typeof setTimeout> | undefined;
let looking: Promise<void> | undefined;

/** Asks what is served (adapters come and go), and keeps asking while nobody answers. */
export function lookAtServer(): Promise<void> {
  looking ??= look().finally(() => {
    looking = undefined;
  });
  return looking;
}

async function look(): Promise<void> {
  clearTimeout(timer);
  try {
    const response = await request('v1/huacaya/info');
    serverInfo.value = (await response.json()) as ServerInfo;
    serverProblem.value = undefined;
  } catch (e) {
    const problem = e instanceof ApiError ? e : new ApiError('refused', (e as Error).message);
    serverProblem.value = problem;
    if (problem.kind === 'lost' || problem.kind === 'busy') timer = setTimeout(lookAtServer, retryMs);
  }
}
