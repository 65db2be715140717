import { defineConfig } from 'vitest/config';

/** Files of these folders are small and load no model: two at a time. */
const parallel = ['test/unit/**', 'test/rules/**'];
/** Mostly other processes starting up: two at a time as well. */
const processes = ['test/e2e/**'];
const suffix = (folders: string[]) => folders.map((folder) => `${folder}/*.test.ts`);

const shared = { setupFiles: 'test/helpers/fixedSeed.ts', testTimeout: 60_000, pool: 'forks' as const };

export default defineConfig({
  test: {
    globalSetup: 'test/golden/setup.ts',
    maxWorkers: 2,
    projects: [
      { test: { ...shared, name: 'unit', include: suffix(parallel), sequence: { groupOrder: 0 } } },
      { test: { ...shared, name: 'e2e', include: suffix(processes), sequence: { groupOrder: 1 } } },
      {
        test: {
          ...shared,
          name: 'models',
          include: ['test/{tiny,golden,web}/**/*.test.ts'],
          // One native session at a time keeps runs short and timings of progress honest.
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
