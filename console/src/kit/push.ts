/** The commands that bring code to an application. */
import { html, type TemplateResult } from 'lit';
import { w } from '../words';
import { copyable } from './parts';
import type { Application } from './types';

export function pushCommands(app: Application, may: boolean): TemplateResult {
  const commands = [`clever link ${app.id}`, 'git add -A && git commit -m "First version"', 'clever deploy'];
  return html`<p class="soft">${may ? w.pushHint : w.pushDenied}</p>
    <ol class="commands">
      ${commands.map(each => html`<li>${copyable(each)}</li>`)}
    </ol>
    <p class="soft">${w.pushGit} ${copyable(app.deployment.url)}</p>`;
}
