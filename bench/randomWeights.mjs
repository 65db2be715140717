// Weights for a shape without a file: normal with a standard deviation of 0.02, norms 1, made when they are read. A row
// is a stretch of one pool of normal numbers, at a place that its name decides: gigabytes cost no more than a copy, any
// row can be read alone, and equal seeds give equal weights.
import { createRng } from '../dist/base/index.js';
import { expectedShape } from '../dist/models/index.js';

const poolSize = 2 ** 20;

function normals(count, deviation, rng) {
  const made = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - rng.uniform()));
    const angle = 2 * Math.PI * rng.uniform();
    made[i] = radius * Math.cos(angle);
    made[i + 1] = radius * Math.sin(angle);
  }
  return made;
}

/** Spreads neighbouring integers over all 32 bits (the finaliser of MurmurHash3, Appleby). */
function spread(x) {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** @returns a WeightSource (src/models/weights.ts) of a config with an untied head. */
export function randomWeights(config, seed = 0) {
  const rng = createRng(seed);
  const pool = normals(poolSize, 0.02, rng.fork('pool'));
  return {
    async read(role, rows) {
      const [count, width] = expectedShape(config, role);
      if (width === undefined) return new Float32Array(count).fill(1);
      const [first, last] = rows ?? [0, count];
      const name = rng.fork(JSON.stringify([role.kind, role.layer ?? 0, role.module ?? ''])).uint32();
      const data = new Float32Array((last - first) * width);
      for (let row = first; row < last; row++) {
        const start = spread((name + row) | 0) % (poolSize - width);
        data.set(pool.subarray(start, start + width), (row - first) * width);
      }
      return data;
    },
    ropeFactors: async () => undefined,
    close: async () => {},
  };
}
