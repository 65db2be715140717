// The real model behind the golden figures, got once per test run by test/golden/setup.ts.
import { inject } from 'vitest';
import golden from '../fixtures/golden/smollm2-135m.json' with { type: 'json' };

declare module 'vitest' {
  interface ProvidedContext {
    goldenModel: string | undefined;
  }
}

/** Path of SmolLM2-135M-Instruct Q4_1; undefined where it could not be had. */
export const goldenModel = inject('goldenModel');
export { golden };

/** "golden (no model: ...)" in the report rather than a silent skip. */
export const goldenTitle = goldenModel ? 'golden' : 'golden (skipped: the model could not be had)';
