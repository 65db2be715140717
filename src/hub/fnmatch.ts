// File patterns as `hf download` has them: `*` also runs over slashes, case counts, a folder's name stands for all in it.
// Source: Python's fnmatch.fnmatchcase, and filter_repo_objects of huggingface_hub.

/** True for names that one of the patterns matches. */
export function matcher(patterns: readonly string[]): (name: string) => boolean {
  const tests = patterns.map((pattern) => {
    const normal = pattern.replaceAll('\\', '/');
    return fnmatch(normal.endsWith('/') ? `${normal}*` : normal);
  });
  return (name) => tests.some((test) => test.test(name));
}

/** The regular expression of one pattern: `*`, `?`, `[abc]`, `[a-z]`, `[!a]`; everything else is meant literally. */
export function fnmatch(pattern: string): RegExp {
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at]!;
    if (char === '*') {
      if (pattern[at - 1] !== '*') source += '.*';
    } else if (char === '?') source += '.';
    else if (char === '[') {
      const end = classEnd(pattern, at + 1);
      source += end === -1 ? '\\[' : charClass(pattern.slice(at + 1, end));
      if (end !== -1) at = end;
    } else source += escaped(char);
  }
  return new RegExp(`^${source}$`, 's');
}

/** Where the `]` is that ends a class: not the first character of it. -1: there is none. */
function classEnd(pattern: string, from: number): number {
  const first = pattern[from] === '!' ? from + 1 : from;
  return pattern.indexOf(']', pattern[first] === ']' ? first + 1 : first);
}

function charClass(text: string): string {
  const not = text.startsWith('!');
  const body = not ? text.slice(1) : text;
  let source = '';
  for (let at = 0; at < body.length; at++) {
    const [from, to] = [body[at]!, body[at + 2]];
    if (body[at + 1] === '-' && to !== undefined) {
      // A range that runs backwards holds nothing.
      if (from <= to) source += `${escaped(from)}-${escaped(to)}`;
      at += 2;
    } else source += escaped(from);
  }
  if (source === '') return not ? '.' : '(?!)';
  return `[${not ? '^' : ''}${source}]`;
}

const escaped = (char: string) => char.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&');
