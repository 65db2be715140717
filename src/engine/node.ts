export { createRuntime } from './ortRuntime.ts';
export { loadViews, saveViews, viewFileSize } from './viewFile.ts';
