// Asks the hub, or the first of its mirrors that answers, which files a repository has.
import { HuacayaError } from '../base/index.ts';
import type { OnEvent } from './events.ts';
import { type HubListing, parseListing, parseTreePage } from './hubFiles.ts';
import { statusError } from './hubStatus.ts';
import { Patience, pause, seconds } from './patience.ts';
import type { RepoType } from './plan.ts';
import { checkEndpoint, isTransient, type NetworkOptions, readJson, request } from './request.ts';

const DELAYS_MS: readonly number[] = [1000, 2000, 4000, 8000];
/** So long a mirror may be silent when there is another one to ask. */
const IMPATIENT_MS = 5000;
/** From here on the hub's short list need not be complete. */
const LONG_LIST = 10_000;
/** A bound for answers that never end: 1,000 files a page. */
const MOST_PAGES = 1000;

export interface ListOptions extends NetworkOptions {
  /** `org/name` */
  repo: string;
  revision: string;
  repoType?: RepoType;
  token?: string;
  /** Waits between tries of the first request; default as `delaysMs`. Empty where another source is at hand. */
  firstDelaysMs?: readonly number[];
  onEvent?: OnEvent;
}

export interface FoundListing {
  listing: HubListing;
  /** The address that answered first, then the others as they were given. */
  endpoints: string[];
}

/**
 * @param endpoints addresses of the hub and its mirrors, tried in order.
 * @throws HuacayaError HUB_*: of the only address, or of the first with what the others said.
 */
export async function listRepo(endpoints: readonly string[], options: ListOptions): Promise<FoundListing> {
  const addresses = endpoints.map(checkEndpoint);
  const failures: HuacayaError[] = [];
  for (const [i, endpoint] of addresses.entries()) {
    const last = i === addresses.length - 1;
    const hurried = last ? {} : { connectTimeoutMs: options.connectTimeoutMs ?? IMPATIENT_MS, firstDelaysMs: [] };
    try {
      const listing = await list(endpoint, { ...options, ...hurried });
      return { listing, endpoints: [endpoint, ...addresses.filter((other) => other !== endpoint)] };
    } catch (error) {
      if (!(error instanceof HuacayaError) || !error.code.startsWith('HUB_')) throw error;
      failures.push(error);
      if (!last) options.onEvent?.({ type: 'note', message: `${error.message}; asking ${addresses[i + 1]}` });
    }
  }
  // What matters most: a door that is closed, not a mirror that has never heard of the model.
  const gated = failures.find((error) => error.code === 'HUB_GATED');
  const first = gated ?? failures[0]!;
  if (failures.length === 1) throw first;
  const others = failures.filter((error) => error !== first).map((error) => error.message);
  throw new HuacayaError(first.code, `${first.message}. Other addresses: ${others.join('; ')}`, {
    ...(first.hint ? { hint: first.hint } : {}),
    cause: first,
  });
}

async function list(endpoint: string, options: ListOptions): Promise<HubListing> {
  const { repo, revision, repoType = 'model' } = options;
  const api = `${endpoint}/api/${repoType}s/${repo}`;
  const what = revision === 'main' ? repo : `${repo}@${revision}`;
  const first = await get(`${api}/revision/${encodeURIComponent(revision)}?blobs=true`, what, options);
  const listing = parseListing(repo, first.json);
  // Some mirrors leave out the hashes, and nobody lists very many files here.
  if (listing.names.length < LONG_LIST && listing.names.every((name) => listing.files.has(name))) return listing;
  return (await listTree(`${api}/tree/${listing.sha}?recursive=true`, listing, options)) ?? listing;
}

/** The long way, page by page; undefined where the address does not know it. */
async function listTree(url: string, short: HubListing, options: ListOptions): Promise<HubListing | undefined> {
  const { repo } = options;
  const names = new Set<string>();
  const files = new Map(short.files);
  let next: string | undefined = url;
  for (let page = 0; next !== undefined && page < MOST_PAGES; page++) {
    const answer: Got | undefined = await get(next, repo, options).catch((error) => {
      if (page === 0 && error instanceof HuacayaError && !isTransient(error)) return undefined;
      throw error;
    });
    if (!answer) return undefined;
    for (const [name, file] of parseTreePage(repo, answer.json)) {
      names.add(name);
      if (file) files.set(name, file);
    }
    next = nextPage(answer.link, url);
  }
  if (next !== undefined) throw new HuacayaError('HUB_BAD_ANSWER', `${repo}: its list of files does not end`);
  return { sha: short.sha, names: [...names], files };
}

/** `Link: <https://...>; rel="next"`, as long as it stays on the same host: the token goes there. */
function nextPage(link: string | null, from: string): string | undefined {
  const found = /<([^>]+)>;\s*rel="?next"?/.exec(link ?? '')?.[1];
  if (!found || !URL.canParse(found, from)) return undefined;
  const { origin, pathname, search } = new URL(found, from);
  const home = new URL(from);
  // A mirror may hand on the hub's own address: the path is the same.
  return origin === home.origin ? origin + pathname + search : home.origin + pathname + search;
}

interface Got {
  json: unknown;
  link: string | null;
}

async function get(url: string, what: string, options: ListOptions): Promise<Got> {
  const { repo, repoType, token, signal, onEvent, connectTimeoutMs = 20_000 } = options;
  const delays = options.firstDelaysMs ?? options.delaysMs ?? DELAYS_MS;
  const patience = new Patience(delays);
  for (;;) {
    const startedAt = Date.now();
    try {
      const answer = await request(url, { ...options, headersMs: connectTimeoutMs });
      if (answer.status === 200) return { json: await readJson(answer, repo), link: answer.headers.get('link') };
      answer.discard();
      // Another host that answers here is a hub too, not a storage; it has not seen the token.
      const seen = token !== undefined && !answer.elsewhere;
      throw statusError({ ...answer, elsewhere: false }, pageOf(repo, repoType), what, seen);
    } catch (error) {
      if (!isTransient(error)) throw error;
      const { waitMs } = patience.failed(error, startedAt);
      onEvent?.({ type: 'note', message: `${(error as Error).message}; trying again in ${seconds(waitMs)}` });
      await pause(waitMs, signal);
    }
  }
}

/** What follows the hub's address in the address of a repository's page, and in those of its files. */
export const pageOf = (repo: string, type: RepoType = 'model') => (type === 'dataset' ? `datasets/${repo}` : repo);

/** The address of one file at each mirror. */
export function fileUrls(
  endpoints: readonly string[],
  repo: string,
  sha: string,
  name: string,
  type: RepoType = 'model',
): string[] {
  const path = `${pageOf(repo, type)}/resolve/${sha}/${name.split('/').map(encodeURIComponent).join('/')}`;
  return endpoints.map((endpoint) => `${endpoint}/${path}`);
}
