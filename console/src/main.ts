/** Where the console begins: words first, then who is signed in, then the page that the address means. */
import '@fontsource-variable/figtree/wght.css';
import './look/index.css';
import { speak } from './cc/core';
import { answers } from './kit/api';
import { language } from './kit/choices';
import { rule } from './kit/router';
import { loadWords } from './words';

const O = '/organisations/:owner';
const A = `${O}/applications/:app`;

rule('/', 'home', 'hv-home', () => import('./pages/home'));
rule('/organisations', 'home', 'hv-home', () => import('./pages/home'));
rule(O, 'organisation', 'hv-apps', () => import('./pages/apps'));
rule(`${O}/applications`, 'organisation', 'hv-apps', () => import('./pages/apps'));
rule(`${O}/applications/new`, 'organisation', 'hv-new-app', () => import('./pages/new-app'));
rule(`${O}/members`, 'organisation', 'hv-members', () => import('./pages/members'));
rule(`${O}/audit`, 'organisation', 'hv-audit', () => import('./pages/audit'));
rule(`${O}/notifications`, 'organisation', 'hv-notifications', () => import('./pages/notifications'));
rule(`${O}/oauth-consumers`, 'organisation', 'hv-consumers', () => import('./pages/consumers'));
rule(`${O}/oauth-consumers/:key`, 'organisation', 'hv-consumer', () => import('./pages/consumers'));
rule(`${O}/settings`, 'organisation', 'hv-organisation', () => import('./pages/organisation'));
rule(A, 'application', 'hv-overview', () => import('./pages/overview'));
rule(`${A}/activity`, 'application', 'hv-activity', () => import('./pages/activity'));
rule(`${A}/deployments/:deployment`, 'application', 'hv-activity', () => import('./pages/activity'));
rule(`${A}/logs`, 'application', 'hv-logs', () => import('./pages/logs'));
rule(`${A}/access-logs`, 'application', 'hv-access-logs', () => import('./pages/access-logs'));
rule(`${A}/environment-variables`, 'application', 'hv-environment', () => import('./pages/environment'));
rule(`${A}/domain-names`, 'application', 'hv-domains', () => import('./pages/domains'));
rule(`${A}/tcp-redirections`, 'application', 'hv-redirections', () => import('./pages/redirections'));
rule(`${A}/scalability`, 'application', 'hv-scalability', () => import('./pages/scalability'));
rule(`${A}/service-dependencies`, 'application', 'hv-dependencies', () => import('./pages/dependencies'));
rule(`${A}/log-drains`, 'application', 'hv-drains', () => import('./pages/drains'));
rule(`${A}/settings`, 'application', 'hv-settings', () => import('./pages/settings'));
rule('/users/me/information', 'person', 'hv-person', () => import('./pages/person'));
rule('/users/me/emails', 'person', 'hv-emails', () => import('./pages/emails'));
rule('/users/me/ssh-keys', 'person', 'hv-keys', () => import('./pages/keys'));
rule('/users/me/api-tokens', 'person', 'hv-tokens', () => import('./pages/tokens'));
rule('/users/me/oauth-tokens', 'person', 'hv-sessions', () => import('./pages/sessions'));
rule('/users/me/sessions', 'person', 'hv-sessions', () => import('./pages/sessions'));
rule('/installation', 'operator', 'hv-installation', () => import('./pages/installation'));
rule('/installation/people', 'operator', 'hv-people', () => import('./pages/people'));

async function begin(): Promise<void> {
  document.documentElement.lang = language();
  await Promise.all([speak(language()), loadWords(language())]);
  await import('./shell');
}

begin().catch(async () => {
  await answers(); // a file did not come: once more, when it can
  location.reload();
});
