// AdamW (Loshchilov & Hutter 2019): Adam with decoupled weight decay, on one flat float32 vector.
import { createBreather } from '../base/index.ts';

export interface AdamWOptions {
  beta1?: number;
  beta2?: number;
  eps?: number;
  weightDecay?: number;
}

export interface AdamW {
  /** One update in place. Returns control to the event loop between slices of a large vector. */
  step(params: Float32Array, gradients: Float32Array, learningRate: number): Promise<void>;
  /** Updates done so far. */
  readonly steps: number;
}

/** Elements per slice: about a millisecond of work. */
const slice = 100_000;

/** @param size length of the parameter vector. */
export function createAdamW(size: number, options: AdamWOptions = {}): AdamW {
  const { beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0 } = options;
  const mean = new Float32Array(size);
  const square = new Float32Array(size);
  let steps = 0;
  return {
    get steps() {
      return steps;
    },
    async step(params, gradients, learningRate) {
      const breathe = createBreather();
      steps++;
      const correction1 = 1 - beta1 ** steps;
      const correction2 = 1 - beta2 ** steps;
      for (let from = 0; from < size; from += slice) {
        const to = Math.min(size, from + slice);
        for (let i = from; i < to; i++) {
          const g = gradients[i]!;
          const m = beta1 * mean[i]! + (1 - beta1) * g;
          const v = beta2 * square[i]! + (1 - beta2) * g * g;
          mean[i] = m;
          square[i] = v;
          const update = m / correction1 / (Math.sqrt(v / correction2) + eps);
          params[i] = params[i]! - learningRate * (update + weightDecay * params[i]!);
        }
        await breathe();
      }
    },
  };
}

/**
 * Scales a gradient so that its norm is at most `maxNorm` (Pascanu et al. 2013); 0 turns clipping off.
 * Returns the norm before clipping; not finite when any element is not.
 */
export function clipGradients(gradients: Float32Array, maxNorm: number): number {
  let sum = 0;
  for (let i = 0; i < gradients.length; i++) sum += gradients[i]! * gradients[i]!;
  const norm = Math.sqrt(sum);
  if (maxNorm > 0 && norm > maxNorm) {
    const factor = maxNorm / norm;
    for (let i = 0; i < gradients.length; i++) gradients[i]! *= factor;
  }
  return norm;
}
