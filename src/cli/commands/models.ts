// huacaya list, verify, rm, prune: what is on this machine.
import { Command } from 'commander';
import { HuacayaError, usageError } from '../../base/index.ts';
import {
  isBad,
  type ListedModel,
  listModels,
  listQuantised,
  pruneHub,
  pruneQuantised,
  type QuantisedFile,
  quantisedFolder,
  removeModel,
  removeQuantised,
  repairModel,
  type VerifiedFile,
  verifyModel,
} from '../../hub/index.ts';
import { interruptible } from '../interruptible.ts';
import { bytes, type Output } from '../output.ts';
import { pullReporter } from '../pullReport.ts';
import { storage } from '../session.ts';
import { repoTypeOption, type repoTypes } from './pull.ts';

type RepoTypeFlag = { repoType: (typeof repoTypes)[number] };

export function listCommand(getOutput: () => Output): Command {
  return new Command('list')
    .description('models, adapters and data sets on this machine: size, source, kind, revision, last use, path')
    .action(async () => {
      const out = getOutput();
      const where = await storage();
      const models = await listModels(where);
      if (models.length === 0) out.say('none yet; try: huacaya pull smollm2-135m-instruct');
      for (const m of models) {
        out.json(m);
        if (out.format !== 'json') out.data(row(m.name, m.size, m.source, about(m), m.path));
      }
      const kept = await listQuantised(where.cacheDir);
      if (kept.length === 0) return;
      const [name, size, path] = ['(quantised weights)', sizeOf(kept), quantisedFolder(where.cacheDir)];
      out.json({ name, source: 'quantised', path, size });
      if (out.format !== 'json') out.data(row(name, size, 'made', [], path));
    });
}

const row = (name: string, size: number, source: string, details: readonly string[], path: string) =>
  [`${name.padEnd(40)} ${bytes(size).padStart(8)}`, source.padEnd(4), ...details, path].join('  ');

function about({ type, complete, revision, used }: ListedModel): string[] {
  const kind = complete ? type : `${type}, incomplete`;
  const short = /^[0-9a-f]{40}$/.test(revision ?? '') ? revision!.slice(0, 8) : (revision ?? '-');
  return [kind.padEnd(7), short.padEnd(8), used?.slice(0, 10) ?? '-'];
}

const sizeOf = (files: readonly { size: number }[]) => files.reduce((n, f) => n + f.size, 0);

/** What is wrong with a file, in a few words. */
function whatIsWrong({ status, size, actualSize }: VerifiedFile): string {
  if (status === 'short') return `${actualSize} of ${size} bytes`;
  if (status !== 'wrong') return '';
  return actualSize !== size ? `${actualSize} bytes, but ${size} are right` : 'another hash than the published one';
}

export function verifyCommand(getOutput: () => Output): Command {
  return new Command('verify')
    .description('check the files of a model against their hashes, offline')
    .argument('<model>', 'name, with @revision if wanted, or path')
    .addOption(repoTypeOption())
    .option('--repair', 'fetch what is missing, short or wrong, and nothing else')
    .action(async (name: string, flags: RepoTypeFlag & { repair?: boolean }) => {
      const out = getOutput();
      const where = await storage();
      const onFile = (f: VerifiedFile) => {
        out.json(f);
        const wrong = whatIsWrong(f);
        if (out.format !== 'json') out.data(`${f.status.padEnd(10)} ${f.file}${wrong ? `  (${wrong})` : ''}`);
      };
      const onStart = (file: string) => out.progress(`hashing ${file}`);
      const options = { ...where, repoType: flags.repoType, onStart, onFile };
      const result = await interruptible(out, 'Nothing was changed that was right.', async (signal) => {
        if (!flags.repair) return { ...(await verifyModel(name, { ...options, signal })), repaired: [] as string[] };
        if (where.offline) {
          const hint = 'Unset HF_HUB_OFFLINE, or leave --repair out: verify alone needs no network.';
          throw new HuacayaError('OFFLINE', '--repair fetches files, and the hub may not be asked', { hint });
        }
        return repairModel(name, { ...options, signal, onEvent: pullReporter(out) });
      });
      if (!result) return;
      const { path, ok, files, repaired } = result;
      out.json({ type: 'done', path, ok, repaired });
      if (!ok) throw damaged(name, files, flags.repair === true);
      if (repaired.length > 0) out.say(`repaired: ${repaired.join(', ')}`);
    });
}

function damaged(name: string, files: readonly VerifiedFile[], repaired: boolean): HuacayaError {
  const list = files.filter(isBad).map((f) => `${f.file} (${f.status})`);
  return new HuacayaError('DAMAGED', `${name}: damaged: ${list.join(', ')}`, {
    hint: repaired ? `huacaya rm ${name}, then huacaya pull ${name}` : `huacaya verify --repair ${name}`,
  });
}

export function removeCommand(getOutput: () => Output): Command {
  return new Command('rm')
    .description('delete a model, an adapter or a data set from the cache; Python shares it')
    .argument('[model]', 'name; name@revision deletes that revision only')
    .addOption(repoTypeOption())
    .option('--quantised', 'delete the quantised weights of all models: they are made again when they are needed')
    .option('--dry-run', 'only say what would go')
    .action(async (name: string | undefined, flags: RepoTypeFlag & { quantised?: boolean; dryRun?: boolean }) => {
      const out = getOutput();
      const where = await storage();
      if (name === undefined && !flags.quantised) {
        throw usageError('rm needs the name of a model, or --quantised', '`huacaya list` shows what is here.');
      }
      const dryRun = flags.dryRun === true;
      const { removed, freed } =
        name === undefined
          ? { removed: [], freed: 0 }
          : await removeModel(name, { ...where, repoType: flags.repoType, dryRun });
      const made = flags.quantised ? await takeQuantised(where.cacheDir, dryRun) : [];
      const paths = [...removed, ...made.map(({ path }) => path)];
      for (const path of paths) out.say(`${dryRun ? 'would remove' : 'removed'} ${path}`);
      const all = freed + sizeOf(made);
      out.json({ type: 'done', removed: paths, freed: all, dryRun });
      out.say(`${bytes(all)} ${dryRun ? 'would be' : 'are'} free again`);
      if (flags.quantised) return;
      const kept = await listQuantised(where.cacheDir);
      if (kept.length) out.say(`${bytes(sizeOf(kept))} of quantised weights are left: huacaya rm --quantised`);
    });
}

const takeQuantised = (cacheDir: string, dryRun: boolean): Promise<QuantisedFile[]> =>
  dryRun ? listQuantised(cacheDir) : removeQuantised(cacheDir);

export function pruneCommand(getOutput: () => Output): Command {
  return new Command('prune')
    .description('delete what nothing refers to: old revisions, files of no revision, parts of downloads')
    .option('--days <n>', 'only what was not touched for so many days', '7')
    .option('--quantised', 'delete the quantised weights of all models too')
    .option('--dry-run', 'only say what would go')
    .addHelpText(
      'after',
      `
Revisions that were asked for by their commit stay. The cache is shared with Python: what only Python uses counts as well.

Examples:
  huacaya prune --dry-run
  huacaya prune --days 0`,
    )
    .action(async (flags: { days: string; quantised?: boolean; dryRun?: boolean }) => {
      const out = getOutput();
      const days = Number(flags.days);
      if (flags.days.trim() === '' || !(days >= 0)) throw usageError(`--days is ${flags.days}; use a number from 0`);
      const { cacheDir, hubCacheDir } = await storage();
      const dryRun = flags.dryRun === true;
      const gone: { path: string; size: number; why: string }[] = await pruneHub({
        cacheDir,
        hubCacheDir,
        days,
        dryRun,
      });
      const made = flags.quantised
        ? await takeQuantised(cacheDir, dryRun)
        : // What a run left half written, and what is over the limit, as after every run.
          dryRun
          ? []
          : await pruneQuantised(cacheDir, '');
      gone.push(...made.map(({ path, size }) => ({ path, size, why: 'quantised weights' })));
      for (const part of gone) {
        out.json({ type: 'removed', ...part, dryRun });
        if (out.format !== 'json') out.data(`${bytes(part.size).padStart(8)}  ${part.path}  (${part.why})`);
      }
      out.json({ type: 'done', freed: sizeOf(gone), dryRun });
      const verb = dryRun ? 'would be' : 'are';
      out.say(gone.length === 0 ? 'nothing to prune' : `${bytes(sizeOf(gone))} ${verb} free again`);
    });
}
