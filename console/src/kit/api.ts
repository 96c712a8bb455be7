/** Asking the API, as the person who is signed in at this browser. */

import { inWords } from './refusals';

/** The API said no: `status` and its sentence. Status 0: nobody answered. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code?: number | string,
  ) {
    super(message);
  }

  /** The platform is away: what is shown may be old, and asking again is all there is to do. */
  get isAway(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

const DEADLINE_MS = 30_000;
const AGAIN_MS = 300;

export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { 'X-Havre-Console': '1' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const answer = await ask(path, { method, headers, body: sent }, method === 'POST' ? 0 : 1);
  if (answer.status === 401) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  if (!answer.ok) throw await refused(answer);
  return (isJson(answer) ? await answer.json() : undefined) as T;
}

const isJson = (answer: Response): boolean =>
  answer.headers.get('content-type')?.startsWith('application/json') ?? false;

async function refused(answer: Response): Promise<Refused> {
  const said = isJson(answer) ? await answer.json().catch(() => ({})) : {};
  const code = said.code ?? said.id;
  return new Refused(answer.status, await inWords(String(said.message ?? said.error ?? ''), code), code);
}

/** Why a stream does not come: its `EventSource` does not tell. Null when it would come now. */
export async function refusal(path: string): Promise<Refused | null> {
  const left = new AbortController();
  const stop = window.setTimeout(() => left.abort(), DEADLINE_MS);
  try {
    const answer = await fetch(path, { signal: left.signal });
    return answer.ok ? null : await refused(answer);
  } catch {
    return new Refused(0, '');
  } finally {
    window.clearTimeout(stop);
    left.abort(); // what would come is not wanted
  }
}

/** What may be asked twice is asked twice when the network fails under it: a laptop that changes networks. */
async function ask(path: string, request: RequestInit, triesLeft: number): Promise<Response> {
  try {
    return await fetch(path, { ...request, signal: AbortSignal.timeout(DEADLINE_MS) });
  } catch {
    if (triesLeft <= 0) throw new Refused(0, '');
    await new Promise(resolve => window.setTimeout(resolve, AGAIN_MS));
    return ask(path, request, triesLeft - 1);
  }
}

/** Return when the platform answers: to load a page again earlier would leave the person before an error. */
export async function answers(): Promise<void> {
  for (;;) {
    const answer = await fetch('/health', { cache: 'no-store' }).catch(() => null);
    if (answer?.ok) return;
    await new Promise(resolve => window.setTimeout(resolve, 5 * AGAIN_MS));
  }
}

export const get = <T>(path: string): Promise<T> => call<T>('GET', path);
