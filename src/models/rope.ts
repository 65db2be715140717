// Rotary tables (Su et al. 2021) with the frequency scalings of the family.
import type { LlamaConfig } from './config.ts';

/**
 * Angle per position of each pair, [headDim / 2].
 * @param count positions that will be used: LongRoPE has other divisors where there are more than the model began with.
 */
export function ropeFrequencies(c: LlamaConfig, factors?: Float32Array, count = c.maxPositions): Float64Array {
  const half = c.headDim / 2;
  return Float64Array.from({ length: half }, (_, i) => {
    const base = c.ropeTheta ** (-(2 * i) / c.headDim) / (factors?.[i] ?? 1);
    const s = c.ropeScaling;
    if (!s) return base;
    if (s.type === 'linear') return base / s.factor;
    if (s.type === 'longrope') return base / (count > s.originalMaxPositions ? s.longFactor : s.shortFactor)[i]!;
    // Llama 3.1: long wavelengths are stretched, short ones kept, those between are blended.
    const wavelength = (2 * Math.PI) / base;
    const turns = s.originalMaxPositions / wavelength;
    const keep = Math.min(1, Math.max(0, (turns - s.lowFreqFactor) / (s.highFreqFactor - s.lowFreqFactor)));
    return (1 - keep) * (base / s.factor) + keep * base;
  });
}

/**
 * cos and sin of positions 0 .. count-1, each [count, headDim / 2] row-major.
 * @param factors divisors of the frequencies, [headDim / 2] (GGUF's rope_freqs.weight).
 */
export function ropeTables(c: LlamaConfig, count: number, factors?: Float32Array) {
  const frequencies = ropeFrequencies(c, factors, count);
  const strength = c.ropeScaling?.type === 'longrope' ? c.ropeScaling.attentionFactor : 1;
  const half = frequencies.length;
  const cos = new Float32Array(count * half);
  const sin = new Float32Array(count * half);
  for (let p = 0; p < count; p++) {
    for (let i = 0; i < half; i++) {
      // The reference rounds the frequency and the angle to float32.
      const angle = Math.fround(p * Math.fround(frequencies[i]!));
      cos[p * half + i] = Math.cos(angle) * strength;
      sin[p * half + i] = Math.sin(angle) * strength;
    }
  }
  return { cos, sin };
}

/** The configuration as layers with a window and frequencies of their own see it. */
export function localRope(c: LlamaConfig): LlamaConfig | undefined {
  if (c.localRopeTheta === undefined) return undefined;
  const { ropeScaling: _, ...rest } = c;
  return { ...rest, ropeTheta: c.localRopeTheta };
}
