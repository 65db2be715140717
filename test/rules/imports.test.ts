// The import table of docs/architecture.md is the rule; this test reads it there and checks every import in src/.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const src = join(root, 'src');

interface Room {
  imports: string[];
  packages: string[];
  /** 'no', 'node.ts' (only files reached through node.ts or main.ts), or 'yes'. */
  node: string;
}

function table(): Map<string, Room> {
  const text = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
  const names = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map((m) => m[1]!);
  const rows = text.split('\n').filter((line) => /^\| `\w+`\s*\|/.test(line));
  return new Map(
    rows.map((line) => {
      const [, room, imports, packages, node] = line.split('|');
      return [names(room!)[0]!, { imports: names(imports!), packages: names(packages!), node: node!.trim() }];
    }),
  );
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((f) => f.endsWith('.ts'))
  .map((f) => join(src, f));

const roomOf = (file: string) => {
  const parts = relative(src, file).split(sep);
  return parts.length > 1 ? parts[0]! : undefined;
};

interface Import {
  from: string;
  specifier: string;
  typeOnly: boolean;
}

const imports: Import[] = files.flatMap((file) => {
  const text = readFileSync(file, 'utf8');
  const found = text.matchAll(
    /^(?:import|export)\s+(type\s)?[^;]*?from\s+'([^']+)'|^import\s+'([^']+)'|import\('([^']+)'\)/gm,
  );
  return [...found].map((m) => ({ from: file, specifier: m[2] ?? m[3] ?? m[4]!, typeOnly: !!m[1] }));
});

/** What a room may not touch by itself. */
const outside = /\bconsole\.|process\.(exit|argv|env|stdout|stderr)/;

const rooms = table();
const packageOf = (specifier: string) => /^(@[^/]+\/[^/]+|[^/]+)/.exec(specifier)![1]!;

/** Files that node.ts of a room reaches inside the room: they may name node: modules. */
function nodeSide(room: string): Set<string> {
  const reach = (starts: string[]) => {
    const seen = new Set<string>();
    const visit = (file: string) => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const i of imports) {
        if (i.from !== file || !i.specifier.startsWith('.')) continue;
        const target = join(dirname(file), i.specifier);
        if (roomOf(target) === room) visit(target);
      }
    };
    for (const s of starts) visit(s);
    return seen;
  };
  const pure = reach([join(src, room, 'index.ts')]);
  return new Set(files.filter((f) => roomOf(f) === room && !pure.has(f)));
}

describe('imports', () => {
  it('finds the table and every room in it', () => {
    const folders = new Set(files.map(roomOf).filter((r) => r !== undefined));
    expect([...rooms.keys()].sort()).toEqual([...folders].sort());
    expect(imports.length).toBeGreaterThan(200);
  });

  it('a room imports only what its row allows, through index.ts or node.ts', () => {
    const wrong: string[] = [];
    for (const { from, specifier } of imports) {
      const room = roomOf(from);
      if (!room || !specifier.startsWith('.')) continue;
      const target = join(dirname(from), specifier);
      const other = roomOf(target);
      if (other === room || other === undefined) continue;
      const line = `${relative(root, from)} imports ${specifier}`;
      if (!rooms.get(room)!.imports.includes(other)) wrong.push(line);
      if (!/\/(index|node)\.ts$/.test(target)) wrong.push(`${line} (not through index.ts or node.ts)`);
    }
    expect(wrong).toEqual([]);
  });

  it('a package is imported only where the table says', () => {
    const wrong = imports
      .filter(({ from, specifier }) => {
        const room = roomOf(from);
        if (!room || specifier.startsWith('.') || specifier.startsWith('node:')) return false;
        return !rooms.get(room)!.packages.includes(packageOf(specifier));
      })
      .map(({ from, specifier }) => `${relative(root, from)} imports ${specifier}`);
    expect(wrong).toEqual([]);
  });

  it('node: modules stay out of what a browser would load', () => {
    const wrong: string[] = [];
    for (const { from, specifier } of imports) {
      const room = roomOf(from);
      if (!room || !(specifier.startsWith('node:') || specifier.endsWith('/node.ts'))) continue;
      const rule = rooms.get(room)!.node;
      const allowed = rule === 'yes' || (rule === 'node.ts' && nodeSide(room).has(from));
      if (!allowed) wrong.push(`${relative(root, from)} imports ${specifier}`);
    }
    expect(wrong).toEqual([]);
  });

  it("only cli prints, exits, or reads arguments; only it and the library's entry read the environment", () => {
    const wrong: string[] = [];
    for (const file of files) {
      // The engine sets one variable that a native library reads when it is loaded.
      if (roomOf(file) === 'cli' || file.endsWith('ortRuntime.ts')) continue;
      const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
      const forbidden = file === join(src, 'index.ts') ? /\bconsole\.|process\.(exit|argv|stdout|stderr)/ : outside;
      if (forbidden.test(text)) wrong.push(relative(root, file));
    }
    expect(wrong).toEqual([]);
  });

  it('no file is longer than 500 lines', () => {
    const long = files.filter((f) => readFileSync(f, 'utf8').split('\n').length > 500).map((f) => relative(root, f));
    expect(long).toEqual([]);
  });
});
