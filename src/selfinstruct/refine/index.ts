export { type Answer, type Answered, type AnswerOptions, answerTasks, taskPrompt } from './answers.ts';
export type { AskOptions } from './askAll.ts';
export { bestAnswer, type PreferencePair, preferencePair, type Scored } from './choose.ts';
export { type Direction, type Evolved, type EvolveOptions, evolveTasks } from './evolve.ts';
export { judgeTasks, type Mark, parseMark } from './judge.ts';
export { parseRefinePrompts, type RefinePrompts, refineFiles } from './refinePrompts.ts';
