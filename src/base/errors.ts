// One family of errors that a user may see: what happened, what to do about it, a code to search for.

export interface ErrorDetails {
  /** What the user can do about it, one sentence. */
  hint?: string;
  /** 1 = the work failed, 2 = the call was wrong (usage, bad option). */
  exitCode?: 1 | 2;
  cause?: unknown;
}

/** An expected failure. The command line prints `message`, `hint` and `code`; everything else is a bug. */
export class HuacayaError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly exitCode: 1 | 2;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = 'HuacayaError';
    this.code = code;
    this.hint = details.hint;
    this.exitCode = details.exitCode ?? 1;
  }
}

/** A wrong call: unknown option, contradicting values. Exit code 2. */
export function usageError(message: string, hint?: string): HuacayaError {
  return new HuacayaError('USAGE', message, { ...(hint ? { hint } : {}), exitCode: 2 });
}

/** States an internal invariant; a failure here is a bug in Huacaya, never the user's fault. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`internal: ${message}`);
}
