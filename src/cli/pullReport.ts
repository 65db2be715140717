// How a download looks: one line that is rewritten on a terminal, milestones in a log, events in JSON.
import type { DownloadPlan, PullEvent } from '../hub/index.ts';
import { bytes, clock, type Output } from './output.ts';

/** In a log a line is printed when so much more has arrived, or so long after the last one. */
const LOG_STEP = 0.1;
const LOG_EVERY_MS = 30_000;

type Total = Extract<PullEvent, { type: 'total' }>;

/** One line: share, bytes, speed, time left, files, and how far each file is that is on its way. */
export function totalLine(total: Total, inFlight: ReadonlyMap<string, number>): string {
  const { received, total: all, filesDone, files, bytesPerSecond } = total;
  const parts = [`${percent(received, all)} %`, `${bytes(received)} of ${bytes(all)}`];
  if (bytesPerSecond !== undefined && bytesPerSecond > 0 && received < all) {
    parts.push(`${bytes(bytesPerSecond)}/s`, `${clock((all - received) / bytesPerSecond)} left`);
  }
  parts.push(`${filesDone}/${files} files`);
  const moving = [...inFlight].map(([name, share]) => `${name} ${share} %`);
  return [...parts, ...moving].join('  ');
}

const percent = (part: number, all: number) => (all > 0 ? Math.floor((100 * part) / all) : 100);

export function pullReporter(out: Output, live = process.stderr.isTTY === true && !process.env.CI) {
  const inFlight = new Map<string, number>();
  let last: Total | undefined;
  let told = 0;
  let toldAt = Date.now();
  return (event: PullEvent) => {
    out.json(event);
    switch (event.type) {
      case 'source':
        out.say(
          event.reason
            ? `${event.reason}; using ${event.source}: ${event.from}`
            : `trying ${event.source}: ${event.from}`,
        );
        break;
      case 'note':
        out.say(event.message);
        break;
      case 'plan':
        out.say(planLine(event.plan));
        break;
      case 'verified':
        inFlight.delete(event.file);
        out.progress(`verified ${event.file}`, true);
        break;
      case 'progress': {
        const { file, received, total } = event;
        if (received < total) inFlight.set(file, percent(received, total));
        else inFlight.delete(file);
        // A package of pip has no total of its own.
        if (!last) out.progress(`${file}  ${percent(received, total)} %  ${bytes(received)} of ${bytes(total)}`);
        break;
      }
      case 'total': {
        last = event;
        const share = event.total > 0 ? event.received / event.total : 1;
        const due = share >= told + LOG_STEP || Date.now() - toldAt >= LOG_EVERY_MS;
        if (live) out.progress(totalLine(event, inFlight));
        else if (due && share < 1) {
          told = Math.floor(share / LOG_STEP) * LOG_STEP;
          toldAt = Date.now();
          out.progress(totalLine(event, new Map()), true);
        }
      }
    }
  };
}

/** What is about to be fetched, in one line. */
export function planLine(plan: DownloadPlan): string {
  const { files, size, toFetch, skipped, kind, sha } = plan;
  const what = kind === 'files' ? '' : `, ${kind}`;
  const here = toFetch < size ? `, ${bytes(size - toFetch)} of them here already` : '';
  const left = skipped.length > 0 ? `; ${count(skipped.length, 'file')} left out (--dry-run says why)` : '';
  return `${plan.repo} at ${sha.slice(0, 8)}${what}: ${count(files.length, 'file')}, ${bytes(size)}${here}${left}`;
}

/** The whole plan for people: a line a file, what is left out and why, and what it takes. */
export function planTable(plan: DownloadPlan): string {
  const { files, skipped, size, toFetch, free } = plan;
  const row = (state: string, bytesOf: number | undefined, name: string, why = '') =>
    `${state.padEnd(7)} ${(bytesOf === undefined ? '?' : bytes(bytesOf)).padStart(8)}  ${name}${why ? `  (${why})` : ''}`;
  const state = (file: DownloadPlan['files'][number]) =>
    file.toFetch === 0 && file.size > 0 ? 'here' : file.toFetch < file.size ? 'go on' : 'fetch';
  return [
    plan.source === 'pip'
      ? `${plan.repo}==${plan.revision}, a package of pip`
      : `${plan.repo}@${plan.revision}, commit ${plan.sha}${plan.from ? ` at ${plan.from}` : ''}`,
    ...files.map((file) => row(state(file), file.size, file.name)),
    ...skipped.map((file) => row('-', file.size, file.name, file.why)),
    `${count(files.length, 'file')}, ${bytes(size)}; to fetch: ${bytes(toFetch)}` +
      `${free === undefined ? '' : `; free on the disk: ${bytes(free)}`}`,
    ...(free !== undefined && free < toFetch ? ['that does not fit on the disk'] : []),
  ].join('\n');
}

const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;
