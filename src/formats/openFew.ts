// Files that are opened when they are needed, of which only a few stay open.

/** Something that can be closed. */
interface Closable {
  close(): Promise<void>;
}

export interface FewOpen<F> {
  /** Runs `work` with the file open; it is not closed before that has ended. */
  use<T>(name: string, work: (file: F) => Promise<T>): Promise<T>;
  /** Waits for what is in use. */
  close(): Promise<void>;
}

/**
 * @param most files that stay open while nobody uses them; those used longest ago are closed first.
 * @param open called again for a file that was closed in between, and after a failure.
 */
export function fewOpen<F extends Closable>(most: number, open: (name: string) => Promise<F>): FewOpen<F> {
  interface Held {
    /** The promise, not the file: two reads at once must not open it twice. */
    file: Promise<F>;
    users: number;
  }
  /** In the order of last use. */
  const held = new Map<string, Held>();
  const running = new Set<Promise<unknown>>();

  function acquire(name: string): Held {
    const found = held.get(name);
    const entry = found ?? { file: open(name), users: 0 };
    held.delete(name);
    held.set(name, entry);
    entry.users++;
    return entry;
  }

  async function release(name: string, entry: Held, failed: boolean): Promise<void> {
    entry.users--;
    if (failed && held.get(name) === entry) held.delete(name);
    const surplus = [...held].slice(0, Math.max(0, held.size - most)).filter(([, { users }]) => users === 0);
    for (const [other] of surplus) held.delete(other);
    await Promise.all(surplus.map(async ([, { file }]) => (await file).close()));
  }

  async function useFile<T>(name: string, work: (file: F) => Promise<T>): Promise<T> {
    const entry = acquire(name);
    let opened = false;
    try {
      const file = await entry.file;
      opened = true;
      return await work(file);
    } finally {
      await release(name, entry, !opened);
    }
  }

  return {
    use(name, work) {
      const run = useFile(name, work);
      running.add(run);
      const done = () => running.delete(run);
      run.then(done, done);
      return run;
    },
    async close() {
      await Promise.allSettled(running);
      const files = [...held.values()];
      held.clear();
      await Promise.all(files.map(async ({ file }) => (await file.catch(() => undefined))?.close()));
    },
  };
}
