// Inline tokens: emphasis, code, links that are safe to follow; images as their text, HTML as it is written.
import type { Token } from 'marked';
import type { ComponentChildren } from 'preact';
import { t } from '../../i18n/i18n.ts';
import { decodeEntities } from './entities.ts';
import { safeLink } from './safeLink.ts';

export function Inline({ tokens }: { tokens: readonly Token[] }) {
  return (
    <>
      {tokens.map((token, i) => (
        <Piece key={i} token={token} />
      ))}
    </>
  );
}

function Piece({ token }: { token: Token }): ComponentChildren {
  const inner = () => <Inline tokens={('tokens' in token && token.tokens) || []} />;
  switch (token.type) {
    case 'text':
      return 'tokens' in token && token.tokens ? inner() : decodeEntities(token.text);
    case 'escape':
      return token.text;
    case 'strong':
      return <strong>{inner()}</strong>;
    case 'em':
      return <em>{inner()}</em>;
    case 'del':
      return <del>{inner()}</del>;
    case 'codespan':
      return <code>{token.text}</code>;
    case 'br':
      return <br />;
    case 'checkbox':
      return <span class="checkbox">{token.checked ? '☑' : '☐'} </span>;
    case 'link': {
      const href = safeLink(token.href);
      // An address that is not followed is shown, so that nothing is hidden behind its label.
      if (href === undefined) return token.raw;
      return (
        <a href={href} title={href} target="_blank" rel="noopener noreferrer nofollow">
          {inner()}
        </a>
      );
    }
    case 'image':
      // Loading it would tell another server who reads what.
      return <span class="image">{t('answer.image', { alt: decodeEntities(token.text) || '–' })}</span>;
    default:
      return token.raw;
  }
}
