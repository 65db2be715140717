// A teacher on a fresh folder, with a test server behind it and no patience worth waiting for.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { createTeacher } from '../../../../src/selfinstruct/teacher/createTeacher.ts';
import type { TeacherEndpoint, TeacherEvent, TeacherOptions } from '../../../../src/selfinstruct/teacher/options.ts';
import type { Teacher } from '../../../../src/selfinstruct/teacher/types.ts';
import {
  startTeacherServer,
  type TeacherServer,
  type TeacherServerOptions,
} from '../../../helpers/teacherServer/index.ts';
import { ask, impatient } from './requests.ts';

export { ask, impatient };

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

export async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'huacaya-teacher-'));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function server(options: TeacherServerOptions = {}): Promise<TeacherServer> {
  const started = await startTeacherServer({ noise: 0, ...options });
  undo.push(() => started.close());
  return started;
}

export interface Setup {
  teacher: Teacher;
  folder: string;
  events: TeacherEvent[];
  /** The journal's lines. */
  journal(): Promise<Record<string, unknown>[]>;
}

export async function setUp(
  endpoints: readonly (Partial<TeacherEndpoint> & { url: string })[],
  more: Partial<TeacherOptions> = {},
): Promise<Setup> {
  const folder = more.folder ?? (await freshFolder());
  const events: TeacherEvent[] = [];
  const teacher = createTeacher({
    endpoints: endpoints.map((endpoint) => ({ model: 'teacher', ...endpoint })),
    folder,
    onEvent: (event) => events.push(event),
    ...more,
    patience: { ...impatient, ...more.patience },
  });
  undo.push(() => teacher.close());
  return { teacher, folder, events, journal: () => readLines(join(folder, 'journal.jsonl')) };
}

export async function readLines(path: string): Promise<Record<string, unknown>[]> {
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line));
}

/** Until something is so. Looks are counted, not time: a busy machine may pause us. */
export async function until(what: () => boolean): Promise<void> {
  for (let looks = 0; !what(); looks++) {
    if (looks > 2000) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
