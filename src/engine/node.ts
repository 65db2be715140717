export { createRuntime } from './ortRuntime.ts';
