/** Asking the API, as the person who is signed in at this browser. */

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

export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { 'X-Havre-Console': '1' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
  } catch {
    throw new Refused(0, '');
  }
  if (answer.status === 401) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  const isJson = answer.headers.get('content-type')?.startsWith('application/json') ?? false;
  if (!answer.ok) {
    const said = isJson ? await answer.json().catch(() => ({})) : {};
    throw new Refused(answer.status, String(said.message ?? said.error ?? ''), said.id ?? said.code);
  }
  return (isJson ? await answer.json() : undefined) as T;
}

export const get = <T>(path: string): Promise<T> => call<T>('GET', path);
