// The shell around every section: header, problems with the server, dialogs, and what a screen reader is told.
import { useEffect } from 'preact/hooks';
import { language, t } from '../i18n/i18n.ts';
import { announced } from '../ui/announcer.ts';
import { Footer } from './Footer.tsx';
import { Header } from './Header.tsx';
import { KeyDialog } from './KeyDialog.tsx';
import { ServerProblem } from './ServerProblem.tsx';
import { section } from './sections.ts';

export function App() {
  const { Page, title } = section.value;
  const pageTitle = `${t(title)} – Huacaya`;
  useEffect(() => {
    document.documentElement.lang = language.value;
    document.title = pageTitle;
  }, [language.value, pageTitle]);
  const skip = (event: Event) => {
    // The address after '#' says which section is shown, so the link must not change it.
    event.preventDefault();
    document.getElementById('content')?.focus();
  };
  return (
    <>
      {/* biome-ignore lint/a11y/useValidAnchor: it goes to a place in the page, without changing the address. */}
      <a class="skip" href="#content" onClick={skip}>
        {t('app.skip')}
      </a>
      <Header />
      <ServerProblem />
      <main id="content" tabIndex={-1}>
        <Page />
      </main>
      <Footer />
      <KeyDialog />
      <div class="hidden" role="status" aria-live="polite">
        {announced.value}
      </div>
    </>
  );
}
