// The only place that prints. stdout carries data, stderr carries talk; a pipe or a CI log gets plain lines.
import pc from 'picocolors';
import { HuacayaError } from '../base/index.ts';

export const formats = ['human', 'json', 'quiet'] as const;
export type Format = (typeof formats)[number];

export class Output {
  readonly format: Format;
  /** On a terminal that can rewrite its lines. */
  readonly live: boolean;
  private lineOpen = false;
  private panelLines = 0;

  constructor(format: Format = 'human') {
    this.format = format;
    this.live = format === 'human' && process.stderr.isTTY === true && !process.env.CI;
  }

  /** Terminal width, for tables and plots. */
  get columns(): number {
    return process.stdout.columns || 80;
  }

  /** A result: goes to stdout as it is. */
  data(text: string): void {
    this.endLine();
    process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  }

  /** A piece of a streamed result. */
  piece(text: string): void {
    this.endLine();
    process.stdout.write(text);
  }

  /** A result for programs: one JSON object a line, only with --format json. */
  json(value: unknown): void {
    if (this.format === 'json') process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** A line of talk for people. */
  say(text: string): void {
    if (this.format !== 'human') return;
    this.endLine();
    process.stderr.write(`${text}\n`);
  }

  /** Something a user should not miss; also in quiet mode. */
  warn(text: string): void {
    this.endLine();
    process.stderr.write(`${pc.yellow('warning')} ${text}\n`);
  }

  /**
   * State of something in progress: rewrites one line on a terminal. Elsewhere only lines with `keep` are printed, so
   * that a log holds the milestones and not every frame.
   */
  progress(text: string, keep = false): void {
    if (this.format !== 'human') return;
    if (this.live) {
      process.stderr.write(`\r\x1b[2K${text.slice(0, (process.stderr.columns || 80) - 1)}`);
      this.lineOpen = true;
      if (keep) this.endLine();
    } else if (keep) process.stderr.write(`${text}\n`);
  }

  /** Several lines that are rewritten in place on a terminal, and are nothing elsewhere; [] takes them away. */
  panel(lines: readonly string[]): void {
    if (!this.live) return;
    const width = (process.stderr.columns || 80) - 1;
    const up = this.panelLines > 0 ? `\x1b[${this.panelLines}A\r` : '';
    const text = lines.map((line) => `\x1b[2K${line.slice(0, width)}\n`).join('');
    process.stderr.write(`${up}${lines.length < this.panelLines ? '\x1b[J' : ''}${text}`);
    this.panelLines = lines.length;
  }

  /** The panel stays where it is; the next one comes below. */
  keepPanel(): void {
    this.panelLines = 0;
  }

  private endLine(): void {
    if (this.lineOpen) process.stderr.write('\n');
    this.lineOpen = false;
  }

  /** Prints an error in two lines and returns the exit code. */
  error(e: unknown, debug: boolean): number {
    this.endLine();
    if (!(e instanceof HuacayaError)) {
      process.stderr.write(`${pc.red('error')} unexpected: ${(e as Error)?.stack ?? e}\n`);
      process.stderr.write('  This is a bug in Huacaya; please report it with the lines above.\n');
      return 1;
    }
    process.stderr.write(`${pc.red('error')} ${e.message} ${pc.dim(`[${e.code}]`)}\n`);
    if (e.hint) process.stderr.write(`  ${e.hint}\n`);
    if (debug) process.stderr.write(`${e.stack}\n${e.cause ? `cause: ${(e.cause as Error)?.stack ?? e.cause}\n` : ''}`);
    return e.exitCode;
  }
}

export { bytes } from '../assistant/index.ts';

/** 3725 -> 1:02:05 */
export function clock(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((n, i) => (i ? String(n).padStart(2, '0') : n)).join(':');
}
