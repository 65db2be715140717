// Ceilings of the GGUF parser. Real files stay far below; a file above one is damaged or made to hurt. Every count is
// also held against the bytes that are left in the file before anything is done with it.

export const ggufLimits = {
  /** All keys, values and tensor entries together; a vocabulary of 256,000 tokens with its merges is 15 MB. */
  headerBytes: 1 << 27,
  /** Keys; models have 20 to 60. */
  keys: 1 << 16,
  /** Tensors; a model of 126 layers has about 1,200, mixtures of experts stored one by one some 100,000. */
  tensors: 1 << 20,
  /** Bytes of a key or of a tensor's name; the specification allows 2^16 - 1 and 64. */
  nameBytes: 0xffff,
  /** Elements of one array; the largest in use are the merges of a vocabulary, below 500,000. */
  arrayLength: 1 << 24,
  /** Arrays within arrays; the specification allows them, no known model has any. */
  arrayNesting: 4,
  /** GGML_MAX_DIMS. */
  dimensions: 4,
  /** general.alignment; 32 is what everybody writes. */
  alignment: 1 << 20,
} as const;
