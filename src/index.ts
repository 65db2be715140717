// The library: the pieces that the command line is made of.
export { HuacayaError } from './base/index.ts';
export { buildExamples, packExamples, parseRecords, renderPrompt } from './data/index.ts';
export { loadTemplate, readRecords } from './data/node.ts';
export { createRuntime } from './engine/node.ts';
export { generate, generateText } from './infer/index.ts';
export { openAdapter, openCheckpoint, saveAdapter } from './models/node.ts';
export { InferencePass, loadModel } from './runner/index.ts';
export { train } from './train/index.ts';
