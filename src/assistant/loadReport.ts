// What is told while a model is loaded.

export interface LoadReport {
  /** Something that a user should not miss. */
  warn(text: string): void;
  /** State of something in progress; `keep`: it has come to its end. */
  progress(text: string, keep?: boolean): void;
}
