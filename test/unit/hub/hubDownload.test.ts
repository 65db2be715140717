// Downloads from a hub on loopback that misbehaves in every way that was seen in the wild.
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prepareDownload } from '../../../src/hub/hubDownload.ts';
import { fetchFromHub, findSnapshot, type HubDownload, type PullEvent } from '../../../src/hub/index.ts';
import { gitSha1, REPO, SHA, sha256, startTestHub, type TestHub } from './testHub.ts';

const text = (value: string) => new TextEncoder().encode(value);
const weights = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) >> 3);
const FILES = {
  'config.json': text('{"model_type":"llama"}'),
  'tokenizer.json': text('{"model":{}}'),
  'README.md': text('# Tiny'),
  'model.safetensors': weights,
  'pytorch_model.bin': text('pickle'),
  'onnx.txt': text('not wanted'),
};

let hub: TestHub;
let folder: string;
let events: PullEvent[];
const repoDir = () => join(folder, 'hub', `models--${REPO.replace('/', '--')}`);
const blobs = () => join(repoDir(), 'blobs');
/** Comparing hashes: `toEqual` on 300,000 numbers takes most of a second. */
const hashOf = async (path: string) => sha256(await readFile(path));
const notes = () => events.flatMap((event) => (event.type === 'note' ? [event.message] : []));
const storageRequests = () => hub.requests.filter((request) => request.server === 'storage');

const pull = (more: Partial<HubDownload> = {}) =>
  fetchFromHub({
    endpoint: hub.endpoint,
    repo: REPO,
    hubCacheDir: join(folder, 'hub'),
    delaysMs: [1, 1, 1],
    onEvent: (event) => events.push(event),
    ...more,
  });

async function nothingPublished() {
  expect(await readdir(join(repoDir(), 'snapshots')).catch(() => [])).toEqual([]);
  expect(await readdir(join(repoDir(), 'refs')).catch(() => [])).toEqual([]);
  expect(await findSnapshot(join(folder, 'hub'), REPO)).toBeUndefined();
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huacaya-hub-'));
  events = [];
  hub = await startTestHub(FILES);
});
afterEach(async () => {
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

describe('a hub that asks for patience before it gives its list', () => {
  const busy = (wait: string) => ({ path: '/api/', times: 1, status: 429, headers: { 'retry-after': wait } });

  it('gets it', async () => {
    hub.switches.fail = busy('1');
    await pull();
    expect(notes()[0]).toMatch(/trying again in 1 s/);
  });

  it('is not waited for when it asks for an hour', async () => {
    hub.switches.fail = busy('3600');
    await expect(pull()).rejects.toThrow('it asks to wait 60 minutes');
  });
});

describe('a download that works', () => {
  it('leaves the layout that Python reads, with the wanted files only', async () => {
    const { path, sha } = await pull();
    expect(sha).toBe(SHA);
    expect(path).toBe(join(repoDir(), 'snapshots', SHA));
    expect((await readdir(path)).sort()).toEqual(['README.md', 'config.json', 'model.safetensors', 'tokenizer.json']);
    expect(await readlink(join(path, 'model.safetensors'))).toBe(join('..', '..', 'blobs', sha256(weights)));
    expect(await readlink(join(path, 'config.json'))).toBe(join('..', '..', 'blobs', gitSha1(FILES['config.json'])));
    expect(await hashOf(join(path, 'model.safetensors'))).toBe(sha256(weights));
    expect(await readFile(join(repoDir(), 'refs', 'main'), 'utf8')).toBe(SHA);
    expect((await readdir(blobs())).filter((name) => name.endsWith('incomplete'))).toEqual([]);
    expect(await findSnapshot(join(folder, 'hub'), REPO)).toEqual({ path, sha });
  });

  it('tells of progress up to the last byte, and of every verified file', async () => {
    await pull();
    const verified = events.flatMap((event) => (event.type === 'verified' ? [event.file] : []));
    // Files come side by side: which of the small ones is first is a matter of luck.
    expect(verified.sort()).toEqual(['README.md', 'config.json', 'model.safetensors', 'tokenizer.json']);
    const ofWeights = events.filter((event) => event.type === 'progress' && event.file === 'model.safetensors');
    expect(ofWeights.at(-1)).toMatchObject({ received: 300_000, total: 300_000 });
    const all = 300_000 + 22 + 12 + 6;
    expect(events.filter((event) => event.type === 'total').at(-1)).toMatchObject({
      received: all,
      total: all,
      filesDone: 4,
      files: 4,
    });
  });

  it('does not fetch a blob again that is right, and does when it is not', async () => {
    await mkdir(blobs(), { recursive: true });
    await writeFile(join(blobs(), sha256(weights)), weights);
    const config = join(blobs(), gitSha1(FILES['config.json']));
    await writeFile(config, 'x'.repeat(FILES['config.json'].length));
    await pull();
    expect(storageRequests()).toEqual([]);
    expect(await readFile(config, 'utf8')).toBe('{"model_type":"llama"}');
  });

  it('adds to a snapshot that Python began', async () => {
    const path = join(repoDir(), 'snapshots', SHA);
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'special.json'), 'kept');
    await pull();
    expect((await readdir(path)).sort()).toEqual(
      ['README.md', 'config.json', 'model.safetensors', 'special.json', 'tokenizer.json'].sort(),
    );
  });

  it.each(['hard links', 'copies'])('uses %s where symbolic links are not allowed', async (kind) => {
    const refuse = async () => {
      throw Object.assign(new Error('EPERM'), { code: 'EPERM' });
    };
    const { link, copyFile } = await import('node:fs/promises');
    const { path } = await pull({ links: { symlink: refuse, link: kind === 'copies' ? refuse : link, copyFile } });
    const file = await lstat(join(path, 'model.safetensors'));
    expect(file.isFile()).toBe(true);
    expect(file.nlink).toBe(kind === 'copies' ? 1 : 2);
    expect(await hashOf(join(path, 'model.safetensors'))).toBe(sha256(weights));
    // Again, and nothing is left lying about: a rename onto another name of the same file does nothing.
    const before = await readdir(path);
    await pull({ links: { symlink: refuse, link: kind === 'copies' ? refuse : link, copyFile } });
    expect(await readdir(path)).toEqual(before);
  });

  it('names the ref after the revision that was asked for, and none for a commit', async () => {
    await pull({ revision: 'refs/pr/1' });
    expect(await readFile(join(repoDir(), 'refs', 'refs', 'pr', '1'), 'utf8')).toBe(SHA);
    await pull({ revision: SHA });
    expect(await readdir(join(repoDir(), 'refs'))).toEqual(['refs']);
  });
});

describe('a line that breaks', () => {
  it('resumes after a dropped connection with the missing end only', async () => {
    hub.switches.drop = { file: 'model.safetensors', afterBytes: 100_000, times: 1 };
    const { path } = await pull();
    const ranges = storageRequests().map((request) => request.range);
    expect(ranges).toHaveLength(2);
    expect(ranges[0]).toBeUndefined();
    expect(Number(/^bytes=(\d+)-$/.exec(ranges[1]!)?.[1])).toBeGreaterThan(0);
    expect(await hashOf(join(path, 'model.safetensors'))).toBe(sha256(weights));
    expect(notes().join()).toMatch(/connection was lost/);
  });

  it('gives up after a bounded number of tries, publishes nothing, and goes on from there the next time', async () => {
    hub.switches.drop = { file: 'model.safetensors', afterBytes: 1000, times: 1e9 };
    await expect(pull()).rejects.toMatchObject({ code: 'HUB_LOST' });
    // One try and three more; waits of a millisecond are too short to tell each failure from the one before it.
    expect(storageRequests().length).toBeGreaterThanOrEqual(4);
    expect(storageRequests().length).toBeLessThan(20);
    await nothingPublished();
    const partial = (await readdir(blobs())).filter((name) => name.endsWith('.incomplete'));
    expect(partial).toEqual([`${sha256(weights)}.huacaya.incomplete`]);
    const have = (await stat(join(blobs(), partial[0]!))).size;
    expect(have).toBeGreaterThan(0);
    delete hub.switches.drop;
    await pull();
    expect(storageRequests().at(-1)!.range).toBe(`bytes=${have}-`);
  });

  it.each([['ignoreRange'], ['refuseRange']] as const)('starts again when the server has %s set', async (kind) => {
    hub.switches.drop = { file: 'model.safetensors', afterBytes: 100_000, times: 1 };
    hub.switches[kind] = true;
    const { path } = await pull();
    expect(await hashOf(join(path, 'model.safetensors'))).toBe(sha256(weights));
    expect(notes().join()).toMatch(/trying again/);
    expect(notes().join()).not.toMatch(/starting that file again/);
  });

  it('throws a part away that is longer than the file', async () => {
    await mkdir(blobs(), { recursive: true });
    await writeFile(join(blobs(), `${sha256(weights)}.huacaya.incomplete`), new Uint8Array(400_000));
    await pull();
    expect(storageRequests().map((request) => request.range)).toEqual([undefined]);
    expect(notes()).toEqual([]);
  });

  it('stops waiting for a silent transfer', async () => {
    hub.switches.stall = { file: 'model.safetensors', afterBytes: 1000, times: 1 };
    await pull({ stallMs: 80 });
    expect(notes().join()).toMatch(/no byte in 0\.08 s/);
  });

  it('tries again on 500, as often as it was told', async () => {
    hub.switches.fail = { path: 'tokenizer.json', times: 3 };
    await pull();
    hub.switches.fail = { path: '/api/models/', times: 4 };
    await expect(pull()).rejects.toMatchObject({ code: 'HUB_BUSY', message: expect.stringContaining('500') });
  });

  it('says quickly that there is no hub', async () => {
    hub.switches.silent = '/api/models/';
    const began = Date.now();
    await expect(pull({ connectTimeoutMs: 60, firstDelaysMs: [] })).rejects.toMatchObject({
      code: 'HUB_UNREACHABLE',
      message: expect.stringContaining('no answer in 0.06 s'),
    });
    expect(Date.now() - began).toBeLessThan(1000);
    await hub.close();
    await expect(pull()).rejects.toMatchObject({
      code: 'HUB_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('ends with the reason of the caller when it is interrupted', async () => {
    hub.switches.stall = { file: 'model.safetensors', afterBytes: 1000, times: 1 };
    const control = new AbortController();
    const why = new Error('interrupted');
    const onEvent = (event: PullEvent) => {
      if (event.type === 'verified' && event.file === 'config.json') setTimeout(() => control.abort(why), 50);
    };
    await expect(pull({ signal: control.signal, onEvent })).rejects.toBe(why);
    await nothingPublished();
  });
});

describe('a hub that lies', () => {
  it('fetches a file with a wrong hash once more', async () => {
    hub.switches.wrongBytes = { file: 'model.safetensors', times: 1 };
    const { path } = await pull();
    expect(await hashOf(join(path, 'model.safetensors'))).toBe(sha256(weights));
    expect(storageRequests().map((request) => request.range)).toEqual([undefined, undefined]);
  });

  it.each(['model.safetensors', 'tokenizer.json'])(
    'gives up on a second wrong %s and keeps nothing of it',
    async (file) => {
      hub.switches.wrongBytes = { file, times: 9 };
      const wrong = sha256(weights.map((byte) => byte ^ 1));
      const error = await pull().catch((e) => e);
      expect(error).toMatchObject({ code: 'HUB_WRONG_CONTENT', message: expect.stringContaining(file) });
      if (file === 'model.safetensors') {
        expect(error.message).toContain(wrong);
        expect(error.message).toContain(sha256(weights));
      }
      expect(hub.switches.wrongBytes.times).toBe(7);
      await nothingPublished();
      expect((await readdir(blobs())).filter((name) => name.includes('incomplete'))).toEqual([]);
    },
  );

  it('finds out a damaged part that was left on the disk', async () => {
    await mkdir(blobs(), { recursive: true });
    await writeFile(join(blobs(), `${sha256(weights)}.huacaya.incomplete`), new Uint8Array(5000));
    const { path } = await pull();
    expect(await hashOf(join(path, 'model.safetensors'))).toBe(sha256(weights));
  });

  it.each([7, -7])('names both lengths when the server sends %i bytes more', async (by) => {
    hub.switches.wrongLength = { file: 'model.safetensors', by };
    await expect(pull()).rejects.toMatchObject({
      code: 'HUB_WRONG_CONTENT',
      message: expect.stringMatching(new RegExp(`${300_000 + by} bytes.*300000`)),
    });
    await nothingPublished();
  });

  it.each([
    '../evil.safetensors',
    '/etc/model.safetensors',
    'a/../../config.json',
    'a\\b.safetensors',
    'nul\0.safetensors',
    'C:model.safetensors',
    '',
  ])('refuses a repository with a file named %j', async (rfilename) => {
    hub.switches.siblings = [{ rfilename, size: 1, blobId: 'a'.repeat(40) }];
    await expect(pull()).rejects.toMatchObject({
      code: 'HUB_BAD_ANSWER',
      message: expect.stringContaining('unsafe name'),
    });
    expect(hub.requests).toHaveLength(1);
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    [{ rfilename: 'model.safetensors', size: 5 }],
    [{ rfilename: 'model.safetensors', size: -1, blobId: 'a'.repeat(40) }],
    [{ rfilename: 'model.safetensors', size: 5, lfs: { sha256: '../../x', size: 5 } }],
  ])('refuses a wanted file without a usable hash and size: %j', async (sibling) => {
    hub.switches.siblings = [sibling];
    hub.switches.fail = { path: '/tree/', times: 9, status: 404 };
    await expect(pull()).rejects.toMatchObject({ code: 'HUB_BAD_ANSWER' });
  });

  it('refuses an answer that is not a listing', async () => {
    const page = async () => new Response('<html>Sign in</html>', { status: 200 });
    await expect(pull({ fetch: page as typeof fetch })).rejects.toMatchObject({ code: 'HUB_BAD_ANSWER' });
    hub.switches.siblings = 'all of them';
    await expect(pull()).rejects.toMatchObject({ code: 'HUB_BAD_ANSWER' });
  });
});

describe('a list without hashes', () => {
  it('is made whole by the list of the tree', async () => {
    hub.switches.siblings = Object.keys(FILES).map((rfilename) => ({ rfilename }));
    const { path } = await pull();
    expect(await hashOf(join(path, 'model.safetensors'))).toBe(sha256(weights));
    expect(hub.requests[1]!.path).toBe(`/api/models/${REPO}/tree/${SHA}?recursive=true`);
  });

  it('is read page by page, always from the address that was asked', async () => {
    const seen: string[] = [];
    const file = (path: string) => ({ type: 'file', path, size: 4, oid: 'b'.repeat(40) });
    const answers = async (address: string) => {
      const { pathname, search } = new URL(address);
      seen.push(address);
      if (pathname.includes('/revision/')) {
        return Response.json({ sha: SHA, siblings: [{ rfilename: 'config.json' }] });
      }
      if (search.includes('cursor')) return Response.json([file('pytorch_model.bin')]);
      const link = `<https://hub.example${pathname}?recursive=true&cursor=abc>; rel="next"`;
      return Response.json([{ type: 'directory', path: 'x' }, file('config.json')], { headers: { link } });
    };
    const fetch = answers as unknown as typeof globalThis.fetch;
    const { plan } = await prepareDownload({
      endpoint: 'https://mirror.test',
      repo: REPO,
      hubCacheDir: join(folder, 'hub'),
      fetch,
    });
    expect(plan.files.map(({ name }) => name).sort()).toEqual(['config.json', 'pytorch_model.bin']);
    expect(seen.map((address) => new URL(address).host)).toEqual(['mirror.test', 'mirror.test', 'mirror.test']);
    expect(seen[2]).toContain('cursor=abc');
  });
});

describe('mirrors', () => {
  let mirror: TestHub;
  beforeEach(async () => {
    mirror = await startTestHub(FILES);
  });
  afterEach(() => mirror.close());

  it('are asked in order when the first address fails, and give the files as well', async () => {
    hub.switches.fail = { path: '/', times: 1e9 };
    const nobody = 'http://127.0.0.1:1';
    const { path } = await pull({ endpoint: nobody, mirrors: [hub.endpoint, mirror.endpoint], delaysMs: [] });
    expect(await hashOf(join(path, 'model.safetensors'))).toBe(sha256(weights));
    expect(storageRequests()).toEqual([]);
    expect(notes().filter((note) => /asking http/.test(note))).toEqual([
      expect.stringContaining(`asking ${hub.endpoint}`),
      expect.stringContaining(`asking ${mirror.endpoint}`),
    ]);
  });

  it('step in for a file that the first address does not give', async () => {
    hub.switches.fail = { path: '/resolve/', times: 1e9 };
    const { path } = await pull({ mirrors: [mirror.endpoint], delaysMs: [] });
    expect(await hashOf(join(path, 'model.safetensors'))).toBe(sha256(weights));
    expect(mirror.requests.some((request) => request.server === 'storage')).toBe(true);
  });

  it('do not hide that a repository is gated, and are all named when all fail', async () => {
    hub.switches.fail = { path: '/api/', times: 1e9, status: 403, headers: { 'x-error-code': 'GatedRepo' } };
    mirror.switches.missing = true;
    await expect(pull({ endpoint: mirror.endpoint, mirrors: [hub.endpoint] })).rejects.toMatchObject({
      code: 'HUB_GATED',
      message: expect.stringMatching(/Other addresses: .*no such repository/),
    });
  });
});

describe('access', () => {
  it('sends the token to the hub and never to another host', async () => {
    await pull({ token: 'hf_secret' });
    const seen = (server: string) => hub.requests.filter((r) => r.server === server).map((r) => r.authorization);
    expect(new Set(seen('hub'))).toEqual(new Set(['Bearer hf_secret']));
    expect(seen('storage')).toEqual([undefined]);
  });

  it('does not take the token up again when another host redirects home', async () => {
    const seen: [string, string | null][] = [];
    const bounce = async (url: string, init: RequestInit) => {
      seen.push([new URL(url).host, new Headers(init.headers).get('authorization')]);
      const location =
        new URL(url).host === 'hub.test' && seen.length === 1 ? 'https://cdn.test/' : 'https://hub.test/b';
      return seen.length === 3 ? new Response('{}') : new Response(null, { status: 302, headers: { location } });
    };
    await expect(
      pull({ endpoint: 'https://hub.test', token: 'hf_secret', fetch: bounce as typeof fetch }),
    ).rejects.toMatchObject({ code: 'HUB_BAD_ANSWER' });
    expect(seen).toEqual([
      ['hub.test', 'Bearer hf_secret'],
      ['cdn.test', null],
      ['hub.test', null],
    ]);
  });

  it('does not follow redirects in circles, nor to something that is not a web address', async () => {
    const to = (location: string) => async () => new Response(null, { status: 302, headers: { location } });
    for (const location of ['/again', 'file:///etc/passwd', 'http://']) {
      const attempt = pull({ fetch: to(location) as unknown as typeof fetch, delaysMs: [] });
      await expect(attempt).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
    }
  });

  it('does not repeat a malformed token', async () => {
    const error = await pull({ token: 'hf_secret\n' }).catch((e) => e);
    expect(error).toMatchObject({ code: 'USAGE' });
    expect(error.message).not.toContain('secret');
  });

  it('tells a missing repository from a gated one', async () => {
    hub.switches.missing = true;
    await expect(pull()).rejects.toMatchObject({ code: 'HUB_NOT_FOUND', message: expect.stringContaining('401') });
    await expect(pull({ token: 'hf_x' })).rejects.toMatchObject({ code: 'HUB_NOT_FOUND' });
    hub.switches.missing = false;
    for (const gated of [401, 403] as const) {
      hub.switches.gated = gated;
      await expect(pull()).rejects.toMatchObject({
        code: 'HUB_GATED',
        message: expect.stringContaining('restricted'),
        hint: expect.stringContaining('HF_TOKEN'),
      });
    }
    await nothingPublished();
  });

  it('says the same where another host answers in the place of the hub', async () => {
    const { createServer } = await import('node:http');
    hub.switches.missing = true;
    const front = createServer((req, res) => void res.writeHead(308, { location: hub.endpoint + req.url }).end());
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(front.address() as { port: number }).port}`;
    try {
      // The token was not shown to the other host, so nothing is known about its rights.
      for (const token of ['hf_x', undefined]) {
        const wish = { endpoint, ...(token ? { token } : {}) };
        await expect(pull(wish)).rejects.toMatchObject({ code: 'HUB_NOT_FOUND' });
      }
      expect(hub.requests).toHaveLength(2);
    } finally {
      front.closeAllConnections();
      front.close();
    }
  });

  it('refuses names of repositories and revisions that could leave the cache', async () => {
    for (const repo of ['tiny', '../../etc', 'a/..', 'a/b/c', 'a--b/c', '/a']) {
      await expect(pull({ repo })).rejects.toMatchObject({ code: 'USAGE' });
    }
    for (const revision of ['../../x', '/x', ''])
      await expect(pull({ revision })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(pull({ endpoint: 'ftp://x' })).rejects.toMatchObject({ code: 'USAGE' });
    expect(hub.requests).toEqual([]);
  });
});

describe('before the first byte', () => {
  it('asks for room on the disk, less what is there already', async () => {
    const rest = 22 + 12 + 6;
    const freeBytes = async () => 300_000 + rest - 1;
    await expect(pull({ freeBytes })).rejects.toMatchObject({ code: 'NO_SPACE' });
    expect(storageRequests()).toEqual([]);
    await mkdir(blobs(), { recursive: true });
    await writeFile(join(blobs(), `${sha256(weights)}.huacaya.incomplete`), weights.subarray(0, 10));
    await pull({ freeBytes });
    expect(storageRequests().map((request) => request.range)).toEqual(['bytes=10-']);
  });

  it('says so when there are no weights that we read, and before anything is fetched', async () => {
    const sibling = (rfilename: string) => ({ rfilename, size: 1, blobId: 'a'.repeat(40) });
    hub.switches.siblings = [sibling('config.json'), sibling('onnx/model.onnx')];
    await expect(pull()).rejects.toMatchObject({
      code: 'HUB_UNSUPPORTED',
      message: expect.stringContaining('onnx/model.onnx'),
      hint: expect.stringContaining('--include'),
    });
    hub.switches.siblings = [sibling('config.json'), sibling('pytorch_model-00001-of-00002.bin')];
    await expect(pull()).rejects.toMatchObject({
      code: 'HUB_UNSUPPORTED',
      message: expect.stringContaining('lacks shard 2 of 2'),
    });
    expect(storageRequests()).toEqual([]);
  });
});
