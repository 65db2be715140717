// Where models live on each system, and how the Hugging Face settings of the environment are read.
// Source: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
import { readFile } from 'node:fs/promises';
import { posix, win32 } from 'node:path';
import type { ProxySettings } from '../base/index.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

function tools(home: string, platform: NodeJS.Platform) {
  const path = platform === 'win32' ? win32 : posix;
  const expand = (value: string) => (/^~(?=[\\/]|$)/.test(value) ? path.join(home, value.slice(1)) : value);
  return { join: path.join, expand };
}

/** Huacaya's own cache: HUACAYA_CACHE, else the system's cache folder + `huacaya`. */
export function defaultCacheDir(env: Environment, home: string, platform: NodeJS.Platform): string {
  const { join, expand } = tools(home, platform);
  if (env.HUACAYA_CACHE) return expand(env.HUACAYA_CACHE);
  if (env.XDG_CACHE_HOME) return join(expand(env.XDG_CACHE_HOME), 'huacaya');
  if (platform === 'win32') return join(env.LOCALAPPDATA || join(home, 'AppData', 'Local'), 'huacaya');
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'huacaya');
  return join(home, '.cache', 'huacaya');
}

/** The Hugging Face home: HF_HOME, else XDG_CACHE_HOME/huggingface, else ~/.cache/huggingface (on every system). */
function hubHome(env: Environment, home: string, platform: NodeJS.Platform): string {
  const { join, expand } = tools(home, platform);
  if (env.HF_HOME) return expand(env.HF_HOME);
  return join(env.XDG_CACHE_HOME ? expand(env.XDG_CACHE_HOME) : join(home, '.cache'), 'huggingface');
}

/** The cache that is shared with Python: HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub. */
export function defaultHubCacheDir(env: Environment, home: string, platform: NodeJS.Platform): string {
  const { join, expand } = tools(home, platform);
  const named = env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE;
  return named ? expand(named) : join(hubHome(env, home, platform), 'hub');
}

export interface HubSettings {
  cacheDir: string;
  hubCacheDir: string;
  /** Base address of the hub or of a mirror (the first of HF_ENDPOINT), without a slash at the end. */
  endpoint: string;
  /** The other addresses of HF_ENDPOINT. */
  mirrors?: string[];
  /** MODELSCOPE_ENDPOINT. */
  modelScopeEndpoint?: string;
  /** HF_HUB_OFFLINE. */
  offline: boolean;
  /** HF_TOKEN, or the one that `hf auth login` stored. */
  token?: string;
  /** HTTP_PROXY, HTTPS_PROXY, NO_PROXY. */
  network?: { proxy: ProxySettings };
}

/** Everything that the environment says about models; the caller passes the environment in. */
export async function hubSettings(env: Environment, home: string, platform: NodeJS.Platform): Promise<HubSettings> {
  const token = await findToken(env, home, platform);
  const [endpoint = 'https://huggingface.co', ...mirrors] = addresses(env.HF_ENDPOINT);
  const [modelScopeEndpoint] = addresses(env.MODELSCOPE_ENDPOINT);
  const proxy = proxySettings(env);
  return {
    cacheDir: defaultCacheDir(env, home, platform),
    hubCacheDir: defaultHubCacheDir(env, home, platform),
    endpoint,
    ...(mirrors.length > 0 ? { mirrors } : {}),
    ...(modelScopeEndpoint ? { modelScopeEndpoint } : {}),
    offline: isOn(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
    ...(token ? { token } : {}),
    ...(proxy ? { network: { proxy } } : {}),
  };
}

/** Addresses with commas between them, without slashes at the end. */
export function addresses(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((address) => address.trim().replace(/\/+$/, ''))
    .filter((address) => address !== '');
}

/** As curl reads them: lower case first, ALL_PROXY for what has none of its own. */
export function proxySettings(env: Environment): ProxySettings | undefined {
  const read = (name: string) => env[name.toLowerCase()] || env[name] || undefined;
  const all = read('ALL_PROXY');
  const [http, https, noProxy] = [read('HTTP_PROXY') ?? all, read('HTTPS_PROXY') ?? all, read('NO_PROXY')];
  if (!http && !https) return undefined;
  return { ...(http ? { http } : {}), ...(https ? { https } : {}), ...(noProxy ? { noProxy } : {}) };
}

async function findToken(env: Environment, home: string, platform: NodeJS.Platform): Promise<string | undefined> {
  const named = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN;
  if (named) return named.trim();
  if (isOn(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
  const { join, expand } = tools(home, platform);
  const path = env.HF_TOKEN_PATH ? expand(env.HF_TOKEN_PATH) : join(hubHome(env, home, platform), 'token');
  return (await readFile(path, 'utf8').catch(() => '')).trim() || undefined;
}

function isOn(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? '');
}
