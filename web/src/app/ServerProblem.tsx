// Says when the server is away or refuses, and what helps.
import { lookAtServer, serverInfo, serverProblem } from '../api/server.ts';
import { t } from '../i18n/i18n.ts';
import { Icon } from '../ui/Icon.tsx';

export function ServerProblem() {
  const problem = serverProblem.value;
  if (!problem) {
    return serverInfo.value ? null : (
      <p class="notice" role="status">
        {t('app.connecting')}
      </p>
    );
  }
  const byHand = problem.kind === 'key' || problem.kind === 'refused';
  return (
    <div class="notice problem" role="alert">
      <Icon name="warning" />
      <span>{t(`problem.${problem.kind}`, { message: problem.message })}</span>
      {byHand && (
        <button type="button" class="button" onClick={() => lookAtServer()}>
          {t(problem.kind === 'key' ? 'problem.enterKey' : 'problem.again')}
        </button>
      )}
    </div>
  );
}
