// Work that Ctrl-C ends in good order: what has been done stays, and the user is told how to go on.
import type { Output } from './output.ts';

/** The command line of this run, ready to be pasted into a shell. */
export function commandLine(args: readonly string[] = process.argv.slice(2)): string {
  const quoted = args.map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`));
  return ['huacaya', ...quoted].join(' ');
}

/**
 * Runs `work` until it ends or Ctrl-C (SIGTERM) comes; a second one leaves at once.
 * @param kept what stays of the work, a whole sentence.
 * @returns undefined after an interrupt; the exit code is then 130.
 */
export async function interruptible<T>(
  out: Output,
  kept: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    return await work(stop.signal);
  } catch (e) {
    if (!stop.signal.aborted) throw e;
    const resume = commandLine();
    out.json({ type: 'interrupted', resume });
    out.say(`stopped. ${kept} Go on with:`);
    out.say(`  ${resume}`);
    process.exitCode = 130;
    return undefined;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
