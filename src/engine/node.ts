export { createRuntime } from './ortRuntime.ts';
export { loadViews, openConstants, saveViews, viewFileSize } from './viewFile.ts';
