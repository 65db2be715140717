// Starts the page.
import { render } from 'preact';
import { lookAtServer, serverProblem } from './api/server.ts';
import { App } from './app/App.tsx';
import { applyTheme } from './app/theme.ts';
import './ui/base.css';
import './ui/controls.css';
import './ui/choices.css';
import './ui/dialog.css';
import './ui/markdown/markdown.css';
import './app/app.css';
import './try/try.css';
import './try/answers.css';
import './try/chat.css';
import './try/settings/settings.css';

applyTheme();
lookAtServer();
addEventListener('focus', () => {
  // Adapters may have come or gone while the person was elsewhere. Who closed the key's dialog is not asked again.
  if (serverProblem.value?.kind !== 'key') lookAtServer();
});
render(<App />, document.getElementById('app')!);
