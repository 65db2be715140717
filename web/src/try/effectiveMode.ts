// What the settings really do. The page's users met sliders that did nothing (a mode that ignored them was on): here every
// setting without effect is named and disabled, by the same rules as in the server.
import type { Knob, Sampling } from './sampling.ts';

export interface EffectiveMode {
  kind: 'greedy' | 'sampling';
  /** Which setting makes it greedy. */
  because?: 'temperature' | 'topK' | 'minP';
  /** Settings that change nothing in this mode. */
  inactive: ReadonlySet<Knob | 'seed'>;
}

export function effectiveMode(s: Sampling): EffectiveMode {
  if (s.temperature === 0) return greedy('temperature', ['topP', 'topK', 'minP', 'seed']);
  if (s.topK === 1) return greedy('topK', ['temperature', 'topP', 'minP', 'seed']);
  if (s.minP >= 1) return greedy('minP', ['temperature', 'topP', 'topK', 'seed']);
  return { kind: 'sampling', inactive: new Set() };
}

function greedy(because: 'temperature' | 'topK' | 'minP', inactive: (Knob | 'seed')[]): EffectiveMode {
  return { kind: 'greedy', because, inactive: new Set(inactive) };
}
