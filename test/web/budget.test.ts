// The built page: its size on the wire, and that nothing in it comes from anywhere else or would need a weaker policy.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { dist } from './fakeServer.ts';

const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) => /\.\w+$/.test(file));
const read = (file: string) => readFileSync(join(dist, file));

describe('the built page', () => {
  it('is under 80 kB gzip, everything together', () => {
    const bytes = files.reduce((sum, file) => sum + gzipSync(read(file)).length, 0);
    expect(bytes).toBeGreaterThan(10_000);
    expect(bytes).toBeLessThan(80_000);
  });

  it('has no inline script or style, and only relative addresses', () => {
    const html = read('index.html').toString();
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/i);
    const addresses = [...html.matchAll(/\b(?:src|href)="([^"]+)"/g)].map((m) => m[1]!);
    expect(addresses.length).toBeGreaterThan(2);
    expect(addresses.filter((a) => /^(?:\w+:|\/)/.test(a))).toEqual([]);
  });

  it('loads nothing from style sheets', () => {
    const css = files.filter((file) => file.endsWith('.css')).map((file) => read(file).toString());
    expect(css.length).toBeGreaterThan(0);
    expect(css.join('')).not.toMatch(/url\(|@import|@font-face/);
  });

  it('never hands text to the HTML parser', () => {
    // Preact's own support for dangerouslySetInnerHTML is in the bundle; our sources must not use it.
    const src = new URL('../../web/src/', import.meta.url);
    const sources = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => /\.tsx?$/.test(file));
    const wrong = sources.filter((file) =>
      /innerHTML|insertAdjacentHTML|outerHTML|document\.write|\beval\(|new Function|\sstyle=/i.test(
        readFileSync(new URL(file, src), 'utf8'),
      ),
    );
    expect(sources.length).toBeGreaterThan(40);
    expect(wrong).toEqual([]);
  });
});
