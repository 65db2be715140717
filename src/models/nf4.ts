// A matrix in NF4 from any checkpoint.
import { type Nf4Codes, nf4Block, quantiseNf4 } from '../formats/index.ts';
import type { WeightRole, WeightSource } from './weights.ts';

export { type Nf4Codes, nf4Block };

/** As it is stored, where that is NF4 already; quantised here otherwise. */
export async function readNf4(weights: WeightSource, role: WeightRole): Promise<Nf4Codes> {
  return (await weights.readNf4?.(role)) ?? quantiseNf4(await weights.read(role));
}
