export function random(seed: number): () => number;
export function fuzzBody(next: () => number): { path: string; text: string };
export const fuzzPaths: readonly string[];
