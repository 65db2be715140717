// What the server counts, for /metrics.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Assistant } from '../assistant/index.ts';
import { version } from '../version.ts';
import type { Admission } from './admission.ts';
import { type Counter, createMetrics, type Histogram } from './metrics.ts';

export interface Meters {
  requests: Counter;
  duration: Histogram;
  firstToken: Histogram;
  /** Requests that ended early, by reason: client_gone, slow_client, timeout, shutdown. */
  cut: Counter;
  text(): string;
  close(): void;
}

const RESOLUTION_MS = 10;
const durations = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

export function createMeters({ id, generator }: Assistant, admission: Admission): Meters {
  const metrics = createMetrics();
  const { read } = metrics;
  const total = (name: string, help: string, value: () => number) => read(name, help, 'counter', value);
  const gauge = (name: string, help: string, value: () => number) => read(name, help, 'gauge', value);

  const { precision } = generator.info;
  read('huacaya_info', 'What runs here.', 'gauge', () => 1, { version, model: id, precision });
  gauge('huacaya_answers_running', 'Answers that are being generated.', () => generator.stats().running);
  gauge('huacaya_answers_waiting', 'Answers that wait for a slot.', () => generator.stats().waiting);
  gauge('huacaya_answers_admitted', 'Answers that run or wait, of all requests.', () => admission.busy);
  gauge('huacaya_slots', 'Answers that can run at the same time.', () => generator.info.slots);
  total('huacaya_prompt_tokens_total', 'Tokens of prompts.', () => generator.stats().promptTokens);
  total('huacaya_cached_prompt_tokens_total', 'Of them, taken from the cache.', () => generator.stats().cachedTokens);
  total('huacaya_generated_tokens_total', 'New tokens.', () => generator.stats().generatedTokens);
  total('huacaya_prefill_seconds_total', 'Engine time on prompts.', () => generator.stats().prefillSeconds);
  total('huacaya_decode_seconds_total', 'Engine time on new tokens.', () => generator.stats().decodeSeconds);
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  gauge('nodejs_eventloop_lag_p99_seconds', 'How late timers were, since this was last asked.', () => {
    const nanoseconds = delay.count > 0 ? delay.percentile(99) : 0;
    delay.reset();
    // The delay between two ticks of its own timer.
    return Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000);
  });
  gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss());
  const begin = Date.now() / 1000 - process.uptime();
  gauge('process_start_time_seconds', 'Start of the process since the epoch.', () => begin);
  return {
    requests: metrics.counter('huacaya_requests_total', 'Requests by route and status.'),
    duration: metrics.histogram('huacaya_request_duration_seconds', 'From request to end of answer.', durations),
    firstToken: metrics.histogram('huacaya_time_to_first_token_seconds', 'From request to first token.', durations),
    cut: metrics.counter('huacaya_requests_cut_total', 'Requests that ended early, by reason.'),
    text: metrics.text,
    close: () => delay.disable(),
  };
}
