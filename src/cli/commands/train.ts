// huacaya train: data + model -> a run folder with the adapter.
import { appendFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { stringify } from 'yaml';
import { type AdapterNotes, notesFile } from '../../assistant/node.ts';
import { fileError, writeFileAtomic } from '../../base/node.ts';
import { hasEffect } from '../../models/index.ts';
import { saveAdapter } from '../../models/node.ts';
import { type TrainEvent, type TrainResult, train } from '../../train/index.ts';
import { version } from '../../version.ts';
import { lossPlot } from '../lossPlot.ts';
import { bytes, clock, type Output } from '../output.ts';
import { describePlan } from '../planRun.ts';
import { type PreparedRun, prepareRun, trainOptions } from '../prepareRun.ts';
import { profiledPrograms, profileHelp, startProfile } from '../profileRun.ts';
import { modelReference, peftReference, quantisedCacheHelp, startModel } from '../session.ts';
import { givenSettings, resolveSettings, type Settings, settingNames, settingsSchema } from '../settings.ts';

const kebab = (name: string) => name.replaceAll('_', '-');
const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

export function trainCommand(getOutput: () => Output): Command {
  const command = new Command('train')
    .alias('finetune')
    .description('fine-tune a model with LoRA on instruction data')
    .option('--recipe <name>', 'settings to start from: default, alpaca-classic, demo, or a YAML file')
    .option('--config <file>', 'settings from a YAML file, over the recipe')
    .option('--overwrite', 'replace the run folder if it exists')
    .option('--dry-run', 'show the resolved settings and the plan, and stop')
    .option('--profile', profileHelp)
    .option('--no-quantised-cache', quantisedCacheHelp);
  for (const name of settingNames) {
    const schema = settingsSchema.shape[name];
    const boolean = ['train_on_inputs', 'shared_prefix', 'use_rslora', 'recompute', 'one_copy'].includes(name);
    command.addOption(new Option(`--${kebab(name)} ${boolean ? '[bool]' : '<value>'}`, schema.description));
  }
  command.addHelpText(
    'after',
    `
Settings are taken from: flag > --config > --recipe > recipes/default.yaml. Names as in alpaca-lora
(--base_model is understood as --base-model).

Examples:
  huacaya train --base-model smollm2-135m-instruct --data-path my-rows.jsonl
  huacaya train --recipe alpaca-classic --base-model ./llama-7b --data-path alpaca_data.json
  huacaya train --config runs/first/config.yaml --output-dir runs/second --lora-r 32`,
  );
  command.action(async (flags: Record<string, unknown>) => {
    const given = settingNames.flatMap((n) => (flags[camel(n)] === undefined ? [] : [[n, flags[camel(n)]] as const]));
    const sources = {
      flags: Object.fromEntries(given),
      ...(flags.recipe ? { recipe: String(flags.recipe) } : {}),
      ...(flags.config ? { config: String(flags.config) } : {}),
    };
    const asked = await resolveSettings(sources);
    const out = getOutput();
    const run = await prepareRun(out, asked, !!flags.overwrite, await givenSettings(sources));
    const { settings, plan } = run;
    describe(out, settings, run);
    if (flags.dryRun) {
      await run.checkpoint.weights.close();
      if (out.format === 'json') out.json({ ...settings, memory_plan: plan });
      else out.data(stringify(settings));
      return;
    }
    await execute(out, settings, run, {
      overwrite: !!flags.overwrite,
      profile: !!flags.profile,
      quantisedCache: flags.quantisedCache !== false,
    });
  });
  return command;
}

function describe(out: Output, s: Settings, run: PreparedRun): void {
  out.say(`model     ${run.checkpoint.name}, precision ${s.precision}`);
  const heldOut = run.heldOut.length ? `, ${run.heldOut.length} held out` : '';
  out.say(`data      ${s.data_path}: ${run.examples.length} rows, ${run.tokens} tokens${heldOut}`);
  out.say(`adapter   r ${s.lora_r}, alpha ${s.lora_alpha}, on ${run.lora.targetModules.join(', ')}`);
  out.say(
    `plan      ${run.totalSteps} steps of ${s.batch_size} rows, learning rate ${s.learning_rate} ${s.lr_scheduler}`,
  );
  for (const line of describePlan(run.plan)) out.say(line);
  out.say(`run       ${run.folder}`);
}

/** One line per step on a terminal; in a log about twenty lines a run. */
function reporter(out: Output, metricsPath: string) {
  let logging = true;
  const log = (event: TrainEvent) => {
    if (!logging || event.type === 'start') return;
    try {
      appendFileSync(metricsPath, `${JSON.stringify(event)}\n`);
    } catch (cause) {
      // Hours of training are worth more than a line in a log.
      logging = false;
      out.warn(`${fileError(metricsPath, cause).message}; no more metrics are written`);
    }
  };
  return (event: TrainEvent) => {
    log(event);
    out.json(event);
    if (event.type === 'start') out.say(`training  ${event.trainable.toLocaleString('en')} parameters`);
    else if (event.type === 'heldOut') out.progress(`step ${event.step}  held-out loss ${event.loss.toFixed(4)}`, true);
    else if (event.type === 'skipped') out.warn(`step ${event.step} skipped: ${event.reason}`);
    else {
      const every = Math.max(1, Math.floor(event.totalSteps / 20));
      const line = [
        `step ${event.step}/${event.totalSteps}`,
        `loss ${event.loss.toFixed(4)}`,
        `lr ${event.learningRate.toExponential(1)}`,
        `${Math.round(event.tokensPerSecond)} tok/s`,
        `${event.examplesPerSecond.toFixed(1)} rows/s`,
        bytes(event.memoryBytes),
        `eta ${clock(event.etaSeconds)}`,
      ].join('  ');
      out.progress(line, event.step % every === 0 || event.step === event.totalSteps);
    }
  };
}

const tokensOf = (examples: PreparedRun['examples']) => examples.reduce((n, e) => n + e.ids.length, 0);

async function execute(
  out: Output,
  s: Settings,
  run: PreparedRun,
  { overwrite, profile, quantisedCache }: { overwrite: boolean; profile: boolean; quantisedCache: boolean },
): Promise<void> {
  const loaded = await startModel(out, run.checkpoint, {
    precision: s.precision,
    training: true,
    quantisedCache,
    oneCopy: s.one_copy === true,
    recompute: s.recompute === true,
    positions: s.cutoff_len,
    packTokens: Math.min(s.pack_len, Math.max(...[run.examples, run.heldOut].map(tokensOf))),
    ...(s.threads !== undefined ? { threads: s.threads } : {}),
    ...(profile ? { profile: profiledPrograms } : {}),
  });
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    out.say('stopping after this step, then saving; press Ctrl-C again to leave at once');
    stop.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    if (overwrite) await rm(run.folder, { recursive: true, force: true });
    await mkdir(run.folder, { recursive: true }).catch((cause) => {
      throw fileError(run.folder, cause);
    });
    await writeFileAtomic(join(run.folder, 'config.yaml'), stringify({ ...s, output_dir: run.folder }));
    const profiled = profile ? await startProfile(out, loaded, run, s.eval_steps, stop.signal) : undefined;
    const report = reporter(out, join(run.folder, 'metrics.jsonl'));
    const result = await train({
      ...trainOptions(s, run),
      model: loaded.model,
      signal: stop.signal,
      onEvent(event) {
        report(event);
        profiled?.observe(event);
      },
      memoryBytes: () => process.memoryUsage.rss(),
    });
    await profiled?.end().catch((e: Error) => out.warn(`no profile: ${e.message}`));
    await finish(out, s, run, result);
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    await loaded.runtime.close();
  }
}

async function finish(out: Output, s: Settings, run: PreparedRun, result: TrainResult): Promise<void> {
  const folder = join(run.folder, 'adapter');
  // During a warm-up the first updates move nothing: there may be no adapter to save yet.
  if (result.stopped && !hasEffect(result.layout, result.params)) {
    out.say(`stopped after step ${result.steps} of ${run.totalSteps}, before anything was learnt: no adapter is saved`);
    out.json({ type: 'done', adapter: null, steps: result.steps, stopped: true });
    process.exitCode = 130;
    return;
  }
  const notes: AdapterNotes = {
    base_model: modelReference(s.base_model),
    prompt_template_name: modelReference(s.prompt_template_name),
    huacaya_version: version,
  };
  const adapter = { layout: result.layout, params: result.params, baseModel: peftReference(s.base_model) };
  await saveAdapter(folder, adapter, { extraFiles: { [notesFile]: `${JSON.stringify(notes, null, 2)}\n` } });
  for (const line of lossPlot(result.losses, Math.min(60, out.columns - 12))) out.say(line);
  if (result.heldOutBefore !== undefined) {
    out.say(`held-out loss ${result.heldOutBefore.toFixed(4)} before, ${result.heldOutAfter!.toFixed(4)} after`);
  }
  if (out.format === 'human') out.data(folder);
  out.json({
    type: 'done',
    adapter: folder,
    steps: result.steps,
    stopped: result.stopped,
    heldOutBefore: result.heldOutBefore,
    heldOutAfter: result.heldOutAfter,
  });
  if (result.stopped) {
    out.say(`stopped after step ${result.steps} of ${run.totalSteps}; the adapter so far is saved`);
    process.exitCode = 130;
    return;
  }
  out.say(`next: huacaya compare --adapter ${folder} "Your question"`);
}
