export { type LanguageModel, type LanguageModelCall, languageModel } from './aiSdk.ts';
export type { AskOptions, Assistant, BuiltPrompt, ModelEntry } from './assistant.ts';
export { bytes } from './bytes.ts';
export { type AssistantParts, createAssistant, defaultMaxNewTokens, type OpenedAdapter } from './createAssistant.ts';
export type { LoadReport } from './loadReport.ts';
export { type AnswerOptions, createModel, type Model, type Question } from './model.ts';
export { chatPrompts, chatTemplateName, type Instruction, type PromptBuilder, templatePrompts } from './prompts.ts';
export { checkSchema, schemaConstraint } from './schemaConstraint.ts';
