// What a run knows at a moment: all of it comes back from seeds, recipe and journal.
import { Coverage } from '../prompts/coverage.ts';
import { filterOf, isFaithful, type PipelineOptions, type RequestHistory } from './pipeline.ts';
import { Pool } from './pool.ts';

export interface RunState {
  pool: Pool;
  history: RequestHistory[];
  /** Where the prompts ask for what is rare. */
  coverage?: Coverage;
}

/** Seeds and tasks of an earlier run are in. @param wholeTask false for instructions without output. */
export function createState(options: Omit<PipelineOptions, 'teacher'>, wholeTask: boolean): RunState {
  const { recipe, prompts, seeds, dedupe, before } = options;
  const coverage = !isFaithful(recipe) && recipe.topics ? new Coverage(prompts.topics, prompts.verbs) : undefined;
  const pool = new Pool({
    dedupe,
    filter: filterOf(options, wholeTask),
    seeds: seeds.map(({ instruction }) => instruction),
    before,
    ...(coverage ? { onAccepted: (task) => coverage.add(task) } : {}),
  });
  return { pool, history: [], ...(coverage ? { coverage } : {}) };
}
