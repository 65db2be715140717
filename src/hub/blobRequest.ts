// One request for a part of a file, and the suspicion that its answer deserves.
// Source: RFC 9110 sections 14 (range requests) and 13.1.5 (If-Range).
import { HuacayaError } from '../base/index.ts';
import type { HubFile } from './hubFiles.ts';
import { statusError } from './hubStatus.ts';
import type { MirrorWalk } from './mirrors.ts';
import { type Reply, type RequestOptions, request } from './request.ts';

export interface Wanted {
  file: HubFile;
  /** First byte, and the first one after the last. */
  from: number;
  to: number;
}

/** Bytes of the file from `from` on, and where they end; `whole` when the server sends the file from its start to its end. */
export interface Part {
  reply: Reply;
  from: number;
  to: number;
  whole: boolean;
}

/** The server cannot give parts of this file: it has to come as a whole. */
export class NoRanges extends Error {}

/** The file at this address is not the one that it was a moment ago. */
export class ChangedFile extends Error {}

/**
 * Asks for a part, at the address that a redirect led to before where there is one.
 * @throws NoRanges, ChangedFile, and HuacayaError HUB_*; HUB_WRONG_CONTENT when the answer cannot be this file.
 */
export async function requestPart(wanted: Wanted, walk: MirrorWalk, options: RequestOptions & { repo: string }) {
  const { file, from, to } = wanted;
  const all = from === 0 && to === file.size;
  const headers: Record<string, string> = {};
  if (!all) {
    headers.range = `bytes=${from}-${to === file.size ? '' : to - 1}`;
    if (walk.etag !== undefined && !walk.ignoreTags) headers['if-range'] = walk.etag;
  }
  const reply = await ask(walk, { ...options, headers });
  try {
    return check(reply, wanted, all, walk, options);
  } catch (error) {
    reply.discard();
    throw error;
  }
}

async function ask(walk: MirrorWalk, options: RequestOptions): Promise<Reply> {
  const { direct } = walk;
  if (direct !== undefined) {
    const { token: _, ...anonymous } = options;
    try {
      const reply = await request(direct, anonymous);
      if (reply.status === 206) return reply;
      // The address has grown old, or something else that the hub can explain.
      reply.discard();
      if (walk.direct === direct) walk.direct = undefined;
    } catch (error) {
      if (walk.direct === direct) walk.direct = undefined;
      throw error;
    }
  }
  const reply = await request(walk.url, options);
  // On the host of the hub the token would be needed.
  if (reply.elsewhere && reply.status === 206) walk.direct = reply.url;
  return reply;
}

function check(
  reply: Reply,
  wanted: Wanted,
  all: boolean,
  walk: MirrorWalk,
  options: { repo: string; token?: string },
): Part {
  const { file, from, to } = wanted;
  const name = `${options.repo}/${file.name}`;
  const wrong = (what: string) => wrongContent(options.repo, file, what);
  const sends = (bytes: number) => wrong(`the server sends ${bytes} bytes, but the hub listed ${file.size}`);
  if (reply.status === 416) {
    const total = /^bytes \*\/(\d+)$/.exec(reply.headers.get('content-range') ?? '');
    if (total && Number(total[1]) !== file.size) throw sends(Number(total[1]));
    throw new NoRanges();
  }
  if (reply.status !== 200 && reply.status !== 206) {
    throw statusError(reply, options.repo, name, options.token !== undefined);
  }
  const encoded = !/^(identity)?$/.test(reply.headers.get('content-encoding')?.trim() ?? '');
  const length = encoded ? null : reply.headers.get('content-length');
  const changed = watchTag(reply, walk);
  if (reply.status === 200) {
    if (changed) throw new ChangedFile();
    if (length !== null && Number(length) !== file.size) throw sends(Number(length));
    return { reply, from: 0, to: file.size, whole: true };
  }
  // A part of the compressed form is of no use.
  if (all || encoded) throw new NoRanges();
  const found = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(reply.headers.get('content-range') ?? '');
  if (!found) throw new NoRanges();
  const [start, end] = [Number(found[1]), Number(found[2]) + 1];
  if (found[3] !== '*' && Number(found[3]) !== file.size) throw sends(Number(found[3]));
  if (start !== from || end > to || end <= start) throw new NoRanges();
  if (changed) throw new ChangedFile();
  if (length !== null && Number(length) !== end - start) {
    throw new HuacayaError('HUB_LOST', `${name}: the server promises ${length} bytes for a part of ${end - start}`);
  }
  return { reply, from: start, to: end, whole: false };
}

/** Remembers the ETag of the bytes. @returns true when it is another one than before. */
function watchTag(reply: Reply, walk: MirrorWalk): boolean {
  const etag = reply.headers.get('etag');
  // A weak one does not promise the same bytes.
  if (etag === null || !/^"[^"]+"$/.test(etag)) return false;
  const changed = walk.etag !== undefined && walk.etag !== etag && !walk.ignoreTags;
  walk.etag = etag;
  return changed;
}

export function wrongContent(repo: string, file: HubFile, what: string): HuacayaError {
  return new HuacayaError('HUB_WRONG_CONTENT', `${repo}/${file.name}: ${what}`, {
    hint: 'Something between the hub and this machine changes the file: try another network or mirror (HF_ENDPOINT).',
  });
}
