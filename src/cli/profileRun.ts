// `--profile` of huacaya train: the ceiling, the measured steps, and the report on disk and on the terminal.
import { join } from 'node:path';
import { writeFileAtomic } from '../base/node.ts';
import { isStepProgram, measureCeiling } from '../runner/index.ts';
import type { Output } from './output.ts';
import type { PreparedRun } from './prepareRun.ts';
import { profileLines, profileReport } from './profileReport.ts';
import type { LoadedModel } from './session.ts';
import { StepProfile } from './stepProfile.ts';

/** Which programs the runtime must be told to profile. */
export const profiledPrograms = isStepProgram;

export const profileHelp =
  'measure where the time of the first steps goes: up to 10 steps or 20 seconds after one of warm-up; prints a table, ' +
  'writes profile.json, and trains on';

/** Measures the ceiling at once, and the steps as their events are observed. */
export async function startProfile(
  out: Output,
  { runtime, model }: LoadedModel,
  run: PreparedRun,
  evalSteps: number,
  signal: AbortSignal,
): Promise<StepProfile> {
  const ceiling = await measureCeiling(runtime);
  const path = join(run.folder, 'profile.json');
  const context = { precision: model.basis.precision, threads: runtime.info.threads, ceiling };
  return new StepProfile({
    runtime,
    totalSteps: run.totalSteps,
    evaluates: (step) => run.heldOut.length > 0 && (step === 0 || (evalSteps > 0 && step % evalSteps === 0)),
    signal,
    async onDone(measured) {
      const report = profileReport(measured, context);
      if (report.lostRuns > 0)
        out.warn(`onnxruntime did not record ${report.lostRuns} runs: the profile is incomplete`);
      for (const line of profileLines(report)) out.say(line);
      out.json({ type: 'profile', ...report });
      await writeFileAtomic(path, `${JSON.stringify(report, null, 2)}\n`);
    },
  });
}
