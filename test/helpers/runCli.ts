// Runs the built command line the way a shell does.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CliOptions {
  cwd: string;
  /** Text for stdin; without it stdin is empty. */
  stdin?: string;
  /** Variables beside the few that are always set. */
  env?: Readonly<Record<string, string>>;
  /** Called again and again while the program runs, with what it has printed; true: a signal is sent, once. */
  interruptWhen?: (stdout: string, stderr: string) => boolean;
  /** Default: SIGINT. */
  signal?: NodeJS.Signals;
}

/** A line for the shell, for redirections. */
export const runShell = (line: string, cwd: string): Promise<CliResult> =>
  run('/bin/sh', ['-c', `'${process.execPath}' '${main}' ${line}`], { cwd });

export const runCli = (args: readonly string[], options: CliOptions): Promise<CliResult> =>
  run(process.execPath, [main, ...args], options);

/** No colours, and no caches but those in `cwd`: the machine's own models must not be seen. */
function run(
  command: string,
  args: readonly string[],
  { cwd, stdin = '', env: more, interruptWhen, signal = 'SIGINT' }: CliOptions,
): Promise<CliResult> {
  const home = join(cwd, 'home');
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    HF_HOME: join(home, 'hf'),
    HUACAYA_CACHE: join(home, 'huacaya'),
    NO_COLOR: '1',
    ...more,
  };
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    // A program that has ended does not read: that is no failure here.
    child.stdin.on('error', () => {});
    child.stdin.end(stdin);
    let poll: NodeJS.Timeout | undefined;
    if (interruptWhen) {
      poll = setInterval(() => {
        if (!interruptWhen(stdout, stderr)) return;
        clearInterval(poll);
        child.kill(signal);
      }, 5);
    }
    child.on('error', reject).on('close', (code) => {
      clearInterval(poll);
      resolve({ code, stdout, stderr });
    });
  });
}

/** Every file below a folder with its content's hash, folders with a slash: equal exactly if nothing changed. */
export function treeOf(folder: string, inside = ''): Record<string, string> {
  const tree: Record<string, string> = {};
  if (!existsSync(folder)) return tree;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory())
      Object.assign(tree, { [`${inside}${name}/`]: '' }, treeOf(path, `${inside}${name}/`));
    else tree[inside + name] = createHash('sha256').update(readFileSync(path)).digest('hex');
  }
  return tree;
}

/** One clear error: a single line that starts with "error", no stack, nothing on stdout. */
export function expectOneError(result: CliResult, code: number, message: RegExp): void {
  const lines = result.stderr.split('\n');
  const errors = lines.filter((line) => line.startsWith('error'));
  expect({ ...result, errors }).toMatchObject({ code, stdout: '', errors: [expect.stringMatching(message)] });
  expect(result.stderr).not.toMatch(/unexpected|^\s+at .*:\d+:\d+|internal:/m);
}
