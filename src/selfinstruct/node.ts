// The part of self-instruct that needs Node: threads for the dedupe, and runs in folders.
export { type BatchCollected, batchCollect, batchPrepare, batchSubmit } from './batch/index.ts';
export { createThreadedRougeDedupe } from './dedupe/node.ts';
export { isRun, type PackageFolders, type RunFolder, readInputs, recipeFile } from './pipelines/runFolder.ts';
export { createDedupe, type InstructRun, type Replayed, replayInstruct, runInstruct } from './pipelines/runInstruct.ts';
export { loadPromptSet } from './prompts/loadPromptSet.ts';
export { readEvaluationSet } from './quality/evaluationFiles.ts';
export { loadRefinePrompts } from './refine/loadRefinePrompts.ts';
export { createTeacher } from './teacher/createTeacher.ts';
export type { TeacherBudget, TeacherEndpoint, TeacherEvent, TeacherOptions } from './teacher/options.ts';
