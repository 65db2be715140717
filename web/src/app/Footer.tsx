// Which model is served, and by what.
import { serverInfo } from '../api/server.ts';
import { count, t } from '../i18n/i18n.ts';

export function Footer() {
  const info = serverInfo.value;
  if (!info) return null;
  const { base, precision, positions, version } = info;
  return <footer class="bottom">{t('app.serving', { base, precision, positions: count(positions), version })}</footer>;
}
