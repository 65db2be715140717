// Where the caches are, for every system and setting.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultCacheDir, defaultHubCacheDir, hubSettings } from '../../../src/hub/index.ts';

describe('cache folders', () => {
  it.each([
    [{}, 'linux', '/home/a/.cache/huacaya'],
    [{}, 'darwin', '/home/a/Library/Caches/huacaya'],
    [{ XDG_CACHE_HOME: '/x' }, 'darwin', '/x/huacaya'],
    [{ XDG_CACHE_HOME: '/x', HUACAYA_CACHE: '~/models' }, 'linux', '/home/a/models'],
    [{ HUACAYA_CACHE: '' }, 'linux', '/home/a/.cache/huacaya'],
  ] as const)('%j on %s: %s', (env, platform, expected) => {
    expect(defaultCacheDir(env, '/home/a', platform)).toBe(expected);
  });

  it('uses the local application data of Windows', () => {
    const home = 'C:\\Users\\a';
    expect(defaultCacheDir({ LOCALAPPDATA: 'D:\\Local' }, home, 'win32')).toBe('D:\\Local\\huacaya');
    expect(defaultCacheDir({}, home, 'win32')).toBe('C:\\Users\\a\\AppData\\Local\\huacaya');
    expect(defaultHubCacheDir({}, home, 'win32')).toBe('C:\\Users\\a\\.cache\\huggingface\\hub');
  });

  it.each([
    [{}, '/home/a/.cache/huggingface/hub'],
    [{ XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
    [{ XDG_CACHE_HOME: '/x', HF_HOME: '/h' }, '/h/hub'],
    [{ HF_HOME: '/h', HF_HUB_CACHE: '/c' }, '/c'],
    [{ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
  ])('hub with %j: %s', (env, expected) => {
    expect(defaultHubCacheDir(env, '/home/a', 'linux')).toBe(expected);
  });
});

describe('hubSettings', () => {
  it('reads endpoint, offline and token', async () => {
    const env = { HF_ENDPOINT: 'https://mirror.example/', HF_HUB_OFFLINE: '1', HF_TOKEN: ' hf_a ' };
    expect(await hubSettings(env, '/nowhere', 'linux')).toMatchObject({
      endpoint: 'https://mirror.example',
      offline: true,
      token: 'hf_a',
    });
    expect(await hubSettings({ HF_HUB_OFFLINE: '0' }, '/nowhere', 'linux')).toEqual({
      cacheDir: '/nowhere/.cache/huacaya',
      hubCacheDir: '/nowhere/.cache/huggingface/hub',
      endpoint: 'https://huggingface.co',
      offline: false,
    });
  });

  it('reads a list of addresses, ModelScope and proxies', async () => {
    const read = (env: Record<string, string>) => hubSettings(env, '/nowhere', 'linux');
    const env = { HF_ENDPOINT: ' https://a.example/ ,https://b.example,, http://c.example/hf/ ' };
    expect(await read(env)).toMatchObject({
      endpoint: 'https://a.example',
      mirrors: ['https://b.example', 'http://c.example/hf'],
    });
    expect(await read({ HF_ENDPOINT: ',' })).toMatchObject({ endpoint: 'https://huggingface.co' });
    const scope = { MODELSCOPE_ENDPOINT: 'https://scope.example/' };
    expect(await read(scope)).toMatchObject({ modelScopeEndpoint: 'https://scope.example' });
    expect(await read({ TRANSFORMERS_OFFLINE: '1' })).toMatchObject({ offline: true });
    const proxies = { HTTPS_PROXY: 'http://p:1', https_proxy: 'http://lower:2', NO_PROXY: 'localhost' };
    expect((await read(proxies)).network).toEqual({ proxy: { https: 'http://lower:2', noProxy: 'localhost' } });
    expect((await read({ ALL_PROXY: 'http://p:1', HTTP_PROXY: 'http://h:2' })).network).toEqual({
      proxy: { http: 'http://h:2', https: 'http://p:1' },
    });
    expect(await read({ NO_PROXY: '*' })).not.toHaveProperty('network');
  });

  it('finds the stored token unless told not to', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'huacaya-token-'));
    await writeFile(join(folder, 'token'), 'hf_stored\n');
    expect((await hubSettings({ HF_HOME: folder }, '/nowhere', process.platform)).token).toBe('hf_stored');
    const off = { HF_HOME: folder, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' };
    expect((await hubSettings(off, '/nowhere', process.platform)).token).toBeUndefined();
    await rm(folder, { recursive: true });
  });
});
