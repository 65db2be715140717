// Name, sections, language and colours.
import { language, languages, t } from '../i18n/i18n.ts';
import type { Language } from '../i18n/preferredLanguage.ts';
import { Segmented } from '../ui/Segmented.tsx';
import { Logo } from './Logo.tsx';
import { section, sections } from './sections.ts';
import { theme, themes } from './theme.ts';

const themeIcons = { system: 'system', light: 'sun', dark: 'moon' } as const;

export function Header() {
  return (
    <header class="top">
      <a class="brand" href={`#/${sections[0].id}`}>
        <Logo />
        <span>Huacaya</span>
      </a>
      <nav aria-label={t('app.sections')}>
        {sections.map((s) => (
          <a key={s.id} href={`#/${s.id}`} aria-current={s === section.value ? 'page' : undefined}>
            {t(s.title)}
          </a>
        ))}
      </nav>
      <div class="preferences">
        <label class="select plain">
          <span class="hidden">{t('app.language')}</span>
          <select
            value={language.value}
            onChange={(event) => {
              language.value = event.currentTarget.value as Language;
            }}
          >
            {Object.entries(languages).map(([tag, texts]) => (
              <option key={tag} value={tag} lang={tag}>
                {texts['language.name']}
              </option>
            ))}
          </select>
        </label>
        <Segmented
          label={t('app.theme')}
          value={theme.value}
          choices={themes.map((value) => ({ value, label: t(`app.theme.${value}`), icon: themeIcons[value] }))}
          onChange={(value) => {
            theme.value = value;
          }}
        />
      </div>
    </header>
  );
}
