// An endpoint and what is known about it in this process.
import type { HuacayaError } from '../../base/index.ts';
import { type Price, priceOf } from './money.ts';
import type { TeacherEndpoint } from './options.ts';
import type { Learned } from './requestBody.ts';

export interface Station {
  /** Unique among the endpoints of a teacher. */
  name: string;
  endpoint: TeacherEndpoint;
  /** Without a slash at the end. */
  base: string;
  price: Price;
  learned: Learned;
  /** Requests under way. */
  active: number;
  /** Its turn: grows by 1 / weight with each request. */
  turn: number;
  /** In a row, of any request. */
  failures: number;
  /** Requests in a row that it did not take. */
  refusals: number;
  /** Rests after too many failures, in a row. */
  rests: number;
  /** Milliseconds since 1970; no request before. */
  pausedUntil: number;
  /** It has answered at least once: failures may pass. */
  worked: boolean;
  toldUsage: boolean;
  /** Why it is not asked any more. */
  dead: HuacayaError | undefined;
}

export function createStation(endpoint: TeacherEndpoint, taken: readonly string[] = []): Station {
  const plain = endpoint.name ?? `${new URL(endpoint.url).host} ${endpoint.model}`;
  let name = plain;
  for (let n = 2; taken.includes(name); n++) name = `${plain} (${n})`;
  return {
    name,
    endpoint,
    base: endpoint.url.replace(/\/+$/, ''),
    price: priceOf(endpoint.price),
    learned: { structured: endpoint.structured !== false, newLimit: false, without: new Set() },
    active: 0,
    turn: 0,
    failures: 0,
    refusals: 0,
    rests: 0,
    pausedUntil: 0,
    worked: false,
    toldUsage: false,
    dead: undefined,
  };
}

export function createStations(endpoints: readonly TeacherEndpoint[]): Station[] {
  const stations: Station[] = [];
  for (const endpoint of endpoints)
    stations.push(
      createStation(
        endpoint,
        stations.map(({ name }) => name),
      ),
    );
  return stations;
}

export function headersFor({ endpoint }: Station): Record<string, string> {
  const { apiKey, organization, project, headers } = endpoint;
  return {
    ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}),
    ...(organization ? { 'openai-organization': organization } : {}),
    ...(project ? { 'openai-project': project } : {}),
    ...headers,
  };
}
