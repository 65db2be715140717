// Which endpoint takes the next request. Equal weights: whoever is free. Different weights: each has its share, and a request
// waits for the endpoint whose turn it is. (Start-time fair queueing, Goyal, Vin, Cheng 1996: who was away does not catch up.)
import type { HuacayaError } from '../../base/index.ts';
import type { Station } from './station.ts';

export interface Wish {
  /** Endpoints that can do it at all. The same function for the same endpoints: it names a queue. */
  fits: (station: Station) => boolean;
  /** This one and no other while it lives, e.g. because it may hold the answer. */
  stay?: Station | undefined;
  /** Rather another one, e.g. because this one has just failed. */
  avoid?: Station | undefined;
  signal?: AbortSignal | undefined;
}

export interface Pool {
  /** Waits for a place. @throws the reason why the last fitting endpoint is dead, of the signal, or of `end`. */
  acquire(wish: Wish): Promise<Station>;
  release(station: Station): void;
  /** To be called when an endpoint's pause, failures or death have changed. */
  changed(): void;
  /** Nobody gets a place any more. */
  end(reason: unknown): void;
}

interface Waiting {
  wish: Wish;
  resolve: (station: Station) => void;
  reject: (error: unknown) => void;
  /** It has been served, or does not want to be any more. */
  gone: boolean;
}

export function createPool(stations: readonly Station[], breakAfter: number): Pool {
  /** Those that want a certain endpoint, or not a certain one: few, and they were here before. */
  const choosy = new Set<Waiting>();
  /** Those that take any that fits: perhaps tens of thousands, of whom only the first is looked at. */
  const queues = new Map<Wish['fits'], { entries: Waiting[]; head: number }>();
  let timer: NodeJS.Timeout | undefined;
  let ended: { reason: unknown } | undefined;

  /** Nobody's turn lies before that of the last request. */
  let clock = 0;
  const weightOf = ({ endpoint }: Station) => endpoint.weight ?? 1;
  const shares = new Set(stations.map(weightOf)).size > 1;
  const turnOf = (station: Station) => Math.max(clock, station.turn);

  /** After many failures one request at a time tries whether it works again. */
  const hasPlace = (station: Station) =>
    station.active < (station.failures >= breakAfter ? 1 : (station.endpoint.concurrency ?? 4));

  function choose({ fits, stay, avoid }: Wish, now: number): Station | undefined {
    const alive = stations.filter((station) => !station.dead && fits(station));
    const only = stay && alive.includes(stay) && stay.failures < breakAfter ? [stay] : alive;
    const others = only.filter((station) => station !== avoid && station.failures < breakAfter);
    const ready = (others.length > 0 ? others : only).filter(({ pausedUntil }) => pausedUntil <= now);
    const first = (shares ? ready : ready.filter(hasPlace)).sort((a, b) => turnOf(a) - turnOf(b))[0];
    return first && hasPlace(first) ? first : undefined;
  }

  /** @returns whether the entry is done with. */
  function serve(entry: Waiting, now: number): boolean {
    if (entry.gone) return true;
    const { wish } = entry;
    const station = ended ? undefined : choose(wish, now);
    const fitting = stations.filter(wish.fits);
    if (!station && !ended && fitting.some(({ dead }) => !dead)) return false;
    entry.gone = true;
    if (station) {
      station.active++;
      clock = turnOf(station);
      station.turn = clock + 1 / weightOf(station);
      entry.resolve(station);
    } else entry.reject(ended ? ended.reason : lastReason(fitting));
    return true;
  }

  function changed(): void {
    clearTimeout(timer);
    const now = Date.now();
    for (const entry of choosy) if (serve(entry, now)) choosy.delete(entry);
    let isWaited = choosy.size > 0;
    for (const queue of queues.values()) {
      while (queue.head < queue.entries.length && serve(queue.entries[queue.head]!, now)) queue.head++;
      if (queue.head > 1000 && queue.head * 2 > queue.entries.length) {
        queue.entries.splice(0, queue.head);
        queue.head = 0;
      }
      isWaited ||= queue.head < queue.entries.length;
    }
    if (!isWaited) return;
    const ends = stations.flatMap(({ dead, pausedUntil }) => (dead || pausedUntil <= now ? [] : pausedUntil));
    if (ends.length > 0) timer = setTimeout(changed, Math.max(1, Math.min(...ends) - now));
  }

  function join(entry: Waiting): void {
    const { fits, stay, avoid } = entry.wish;
    if (stay || avoid) {
      choosy.add(entry);
      return;
    }
    const queue = queues.get(fits) ?? { entries: [], head: 0 };
    queues.set(fits, queue);
    queue.entries.push(entry);
  }

  return {
    acquire(wish) {
      return new Promise((resolve, reject) => {
        const { signal } = wish;
        if (signal?.aborted) {
          reject(signal.reason);
          return;
        }
        const onAbort = () => {
          entry.gone = true;
          reject(signal!.reason);
        };
        const entry: Waiting = {
          wish,
          resolve(station) {
            signal?.removeEventListener('abort', onAbort);
            resolve(station);
          },
          reject,
          gone: false,
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        join(entry);
        changed();
      });
    },
    release(station) {
      station.active--;
      changed();
    },
    changed,
    end(reason) {
      ended ??= { reason };
      changed();
    },
  };
}

/** The one that died last is what the user should hear about; with one endpoint it is the only one. */
function lastReason(stations: readonly Station[]): HuacayaError | undefined {
  return stations.map(({ dead }) => dead).findLast((error) => error !== undefined);
}
