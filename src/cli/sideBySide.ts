// Two texts in two columns, wrapped at words; one under the other where the terminal is narrow.

/** Characters that take two columns on a terminal: East Asian wide forms and emoji, roughly. */
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u;

export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += wide.test(character) ? 2 : 1;
  return width;
}

/** Lines of at most `width` columns; a longer word is cut. */
export function wrap(text: string, width: number): string[] {
  return text.split('\n').flatMap((paragraph) => {
    const lines: string[] = [];
    let line = '';
    for (let word of paragraph.split(' ')) {
      const joined = line === '' ? word : `${line} ${word}`;
      if (displayWidth(joined) <= width) {
        line = joined;
        continue;
      }
      if (line !== '') lines.push(line);
      while (displayWidth(word) > width) {
        let cut = 0;
        let used = 0;
        for (const character of word) {
          used += displayWidth(character);
          if (used > width && cut > 0) break;
          cut += character.length;
        }
        lines.push(word.slice(0, cut));
        word = word.slice(cut);
      }
      line = word;
    }
    return [...lines, line];
  });
}

const pad = (text: string, width: number) => text + ' '.repeat(Math.max(0, width - displayWidth(text)));

export interface TitledText {
  title: string;
  text: string;
}

/** One under the other. @param width columns of the terminal. */
export const blocks = (texts: readonly TitledText[], width: number): string[] =>
  texts.flatMap((c) => [`${c.title}:`, ...wrap(c.text, Math.max(20, width - 2)).map((l) => `  ${l}`.trimEnd())]);

/** Two in columns where there is room, more one under the other. @param width columns of the terminal. */
export function sideBySide(texts: readonly TitledText[], width: number): string[] {
  if (texts.length !== 2 || width < 72) return blocks(texts, width);
  const column = Math.floor((width - 3) / 2);
  const [a, b] = texts.map((c) => [c.title, '-'.repeat(Math.min(column, 40)), ...wrap(c.text, column)]);
  return Array.from({ length: Math.max(a!.length, b!.length) }, (_, i) => {
    return `${pad(a![i] ?? '', column)} | ${b![i] ?? ''}`.trimEnd();
  });
}
