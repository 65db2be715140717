// The figures of an answer: tokens as OpenAI counts them, and how it was made and how fast.
import type { Generated } from '../infer/index.ts';
import type { Plan } from './plan.ts';

/** Each prompt counts once, however many answers it has. */
export function usageOf(generated: readonly Generated[], n: number) {
  const prompts = generated.filter((_, i) => i % n === 0);
  const sum = (list: readonly Generated[], of: (g: Generated) => number) => list.reduce((a, g) => a + of(g), 0);
  const prompt_tokens = sum(prompts, (g) => g.promptTokens);
  const completion_tokens = sum(generated, (g) => g.ids.length);
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: sum(prompts, (g) => g.cachedTokens) },
  };
}

const milliseconds = (seconds: number) => Math.round(seconds * 1000) / 1000;

export function reportOf(plan: Plan, generated: readonly Generated[]) {
  const longest = (of: (g: Generated) => number) => Math.max(...generated.map(of));
  const decode = longest((g) => g.decodeSeconds);
  const later = generated.reduce((sum, g) => sum + Math.max(0, g.ids.length - 1), 0);
  return {
    mode: plan.mode,
    template: plan.template,
    ...(plan.seed !== undefined ? { seed: plan.seed } : {}),
    tokens_per_second: decode > 0 && later > 0 ? Math.round((later / decode) * 10) / 10 : null,
    queue_seconds: milliseconds(longest((g) => g.queueSeconds)),
    prefill_seconds: milliseconds(longest((g) => g.prefillSeconds)),
    decode_seconds: milliseconds(decode),
  };
}
