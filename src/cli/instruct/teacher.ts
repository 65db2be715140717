// Endpoints of a recipe with their keys, which come from the environment and nowhere else.
import { usageError } from '../../base/index.ts';
import { proxySettings } from '../../hub/index.ts';
import type { Recipe, RecipeEndpoint, Teacher } from '../../selfinstruct/index.ts';
import { createTeacher, type TeacherEndpoint, type TeacherEvent } from '../../selfinstruct/node.ts';

const isOpenAi = ({ base_url }: RecipeEndpoint) => new URL(base_url).hostname === 'api.openai.com';

/** The key of an endpoint. The one of OpenAI goes to OpenAI only, unless a variable is named. */
function keyOf(endpoint: RecipeEndpoint): string | undefined {
  const { base_url, api_key_env } = endpoint;
  const name = api_key_env ?? (isOpenAi(endpoint) ? 'OPENAI_API_KEY' : undefined);
  if (name === undefined) return undefined;
  const key = process.env[name]?.trim();
  if (key) return key;
  throw usageError(
    `${name} is not set: ${base_url} wants a key`,
    'Set the variable, or name another with --api-key-env. A server of your own needs none: give its --base-url.',
  );
}

/** @throws HuacayaError USAGE where there is no endpoint, or a key is missing. */
export function endpointsWithKeys({ endpoints }: Recipe): TeacherEndpoint[] {
  if (endpoints.length === 0) {
    throw usageError(
      'no teacher is given',
      'Name its model, and with a server of your own its address: --model NAME --base-url http://127.0.0.1:11434/v1.',
    );
  }
  return endpoints.map((endpoint) => {
    const key = keyOf(endpoint);
    return {
      url: endpoint.base_url,
      model: endpoint.model,
      api: endpoint.api,
      weight: endpoint.weight,
      concurrency: endpoint.concurrency,
      timeoutMs: endpoint.timeout * 1000,
      structured: endpoint.structured_output,
      idempotent: endpoint.idempotent,
      ...(endpoint.prices ? { price: endpoint.prices } : {}),
      ...(endpoint.extra_body ? { extraBody: endpoint.extra_body } : {}),
      ...(key === undefined ? {} : { apiKey: key }),
      ...(isOpenAi(endpoint) ? accountOf() : {}),
    };
  });
}

function accountOf(): { organization?: string; project?: string } {
  const [organization, project] = [process.env.OPENAI_ORG ?? process.env.OPENAI_ORG_ID, process.env.OPENAI_PROJECT];
  return { ...(organization ? { organization } : {}), ...(project ? { project } : {}) };
}

/** HTTP_PROXY, HTTPS_PROXY and NO_PROXY, for teachers and batches alike. */
export function proxyOption(): { proxy?: NonNullable<ReturnType<typeof proxySettings>> } {
  const proxy = proxySettings(process.env);
  return proxy ? { proxy } : {};
}

export function openTeacher(
  { budget }: Recipe,
  endpoints: readonly TeacherEndpoint[],
  folder: string,
  onEvent: (event: TeacherEvent) => void,
): Teacher {
  const { cost, tokens } = budget;
  return createTeacher({
    endpoints,
    folder,
    budget: { ...(cost === undefined ? {} : { cost }), ...(tokens === undefined ? {} : { tokens }) },
    onEvent,
    ...proxyOption(),
  });
}
