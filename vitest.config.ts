import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/golden/setup.ts',
    setupFiles: 'test/helpers/fixedSeed.ts',
    testTimeout: 60_000,
    // Two cores: one native session at a time keeps runs short and timings of progress honest.
    fileParallelism: false,
    pool: 'forks',
  },
});
