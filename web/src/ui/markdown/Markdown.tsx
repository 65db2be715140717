// Markdown of a model as elements. Nothing is ever parsed as HTML: marked only cuts the text into tokens, each known token
// becomes an element here, and all that is not known is shown as the text that it is.
import { Lexer, type Token } from 'marked';
import { useMemo } from 'preact/hooks';
import { Blocks } from './Blocks.tsx';

export function Markdown({ text }: { text: string }) {
  const tokens = useMemo(() => lex(text), [text]);
  return <div class="markdown">{tokens ? <Blocks tokens={tokens} /> : <p class="raw">{text}</p>}</div>;
}

/** @returns nothing where the text breaks the parser (absurdly deep nesting): it is shown as it is then. */
function lex(text: string): Token[] | undefined {
  try {
    return new Lexer({ gfm: true, breaks: true }).lex(text);
  } catch {
    return undefined;
  }
}
