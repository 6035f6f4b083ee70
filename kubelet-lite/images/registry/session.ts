import type { IncomingMessage } from 'node:http';
import { type Clock, type Random, sleep } from '@trimtab/machinery';
import { parseChallenges } from './challenge.js';
import type { RegistryCredential } from './credentials.js';
import type { Endpoint } from './hosts.js';
import type { Proxies } from './proxies.js';
import { bodyOf, type RegistryRequest, Transport, TransportError } from './transport.js';

/** A registry's refusal (distribution specification, error codes). */
export class RegistryError extends Error {
  override name = 'RegistryError';
  constructor(
    readonly status: number,
    /** Of the first error in the answer, such as `MANIFEST_UNKNOWN`; empty when it names none. */
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export interface SessionOptions {
  readonly endpoint: Endpoint;
  readonly repository: string;
  readonly actions: 'pull' | 'pull,push';
  readonly credential?: RegistryCredential | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly userAgent: string;
  readonly proxies?: Proxies | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const MAX_ATTEMPTS = 5;
const FIRST_DELAY_MS = 500;
/** A registry that asks for more patience than this is taken as refusing. */
const LONGEST_WAIT_MS = 60_000;

/** Requests about one repository at one endpoint, authorized as the endpoint asks (Basic or token), tried again when it may help. */
export class RegistrySession {
  readonly endpoint: Endpoint;
  readonly #options: SessionOptions;
  readonly #transport: Transport;
  #authorization: Promise<string | undefined> | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.endpoint = options.endpoint;
    this.#transport = new Transport(options.endpoint.tls, options.userAgent, options.proxies);
    const { registryToken } = options.credential ?? {};
    if (registryToken) this.#authorization = Promise.resolve(`Bearer ${registryToken}`);
  }

  /** `/v2/<repository>/<path>` here, or a location the registry has given. */
  url(path: string): URL {
    const { endpoint, repository } = { ...this.#options };
    return new URL(`${endpoint.url}/v2/${endpoint.rewrite?.(repository) ?? repository}/${path}`);
  }

  /** An answer of one of the statuses `expected`. Rejects with a {@link RegistryError} or {@link TransportError}. */
  async request(request: Omit<RegistryRequest, 'signal'>, ...expected: number[]): Promise<IncomingMessage> {
    for (let attempt = 1; ; attempt++) {
      let wait: number | undefined;
      try {
        const response = await this.#authorized(request);
        if (expected.includes(response.statusCode ?? 0)) return response;
        const error = await errorOf(response, request);
        if (!isTransient(error.status) || attempt >= MAX_ATTEMPTS) throw error;
        wait = retryAfter(response, this.#options.clock.now());
        if ((wait ?? 0) > LONGEST_WAIT_MS) throw error;
      } catch (error) {
        if (!(error instanceof TransportError) || !isPassing(error) || attempt >= MAX_ATTEMPTS) throw error;
      }
      await this.pause(attempt, wait);
    }
  }

  /** The wait before the next attempt: doubling, with up to half of it left to chance. */
  async pause(attempt: number, atLeastMs = 0): Promise<void> {
    const { clock, random, signal } = this.#options;
    const delay = FIRST_DELAY_MS * 2 ** (attempt - 1) * (1 + random.next() / 2);
    await sleep(clock, Math.max(delay, atLeastMs), signal);
  }

  close(): void {
    this.#transport.close();
  }

  async #authorized(request: Omit<RegistryRequest, 'signal'>): Promise<IncomingMessage> {
    const { signal } = this.#options;
    const used = this.#authorization;
    const send = async (authorization: string | undefined): Promise<IncomingMessage> => {
      const headers = { ...request.headers, ...(authorization ? { Authorization: authorization } : {}) };
      return this.#transport.send({ ...request, headers, signal });
    };
    const response = await send(await used);
    if (response.statusCode !== 401) return response;
    const challenges = parseChallenges([response.headers['www-authenticate'] ?? ''].flat().join(', '));
    // Several requests may be refused at once, of an expired token: one of them asks for a new one.
    if (this.#authorization === used) {
      const answer = this.#answer(challenges);
      answer.catch(() => {});
      this.#authorization = answer;
    }
    const authorization = await this.#authorization;
    if (authorization === undefined || authorization === (await used)) return response;
    response.resume();
    return send(authorization);
  }

  async #answer(challenges: ReturnType<typeof parseChallenges>): Promise<string | undefined> {
    const { credential } = this.#options;
    const bearer = challenges.find((challenge) => challenge.scheme === 'bearer');
    if (bearer?.parameters.realm !== undefined) return `Bearer ${await this.#token(bearer.parameters)}`;
    const basic = challenges.some((challenge) => challenge.scheme === 'basic');
    return basic && credential?.username !== undefined ? basicOf(credential) : undefined;
  }

  /** The token server's protocol of the distribution project; a refresh token goes by OAuth2 (POST), a password by GET. */
  async #token({ realm, service, scope }: Readonly<Record<string, string>>): Promise<string> {
    const { credential, repository, actions, endpoint, signal } = this.#options;
    const wanted = scope ?? `repository:${endpoint.rewrite?.(repository) ?? repository}:${actions}`;
    const url = new URL(realm!);
    let request: RegistryRequest;
    if (credential?.identityToken) {
      const form = new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: credential.identityToken,
        client_id: 'trimtab',
        scope: wanted,
        ...(service ? { service } : {}),
      });
      const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
      request = { method: 'POST', url, headers, body: () => Buffer.from(form.toString()), signal };
    } else {
      if (service) url.searchParams.set('service', service);
      for (const part of wanted.split(' ')) url.searchParams.append('scope', part);
      const headers: Record<string, string> = credential?.username ? { Authorization: basicOf(credential) } : {};
      request = { method: 'GET', url, headers, signal };
    }
    const response = await this.#transport.send(request);
    if (response.statusCode !== 200) throw await errorOf(response, request);
    const answer = JSON.parse((await bodyOf(response)).toString('utf8')) as {
      readonly token?: string;
      readonly access_token?: string;
    };
    const token = answer.token ?? answer.access_token;
    if (!token) throw new RegistryError(502, '', `${url.origin}: the token server's answer holds no token`);
    return token;
  }
}

const basicOf = ({ username = '', password = '' }: RegistryCredential): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

const isTransient = (status: number): boolean => status === 408 || status === 429 || status >= 500;

/** Names that do not resolve, certificates that do not fit and proxies that refuse will not do otherwise a second later. */
function isPassing({ code }: TransportError): boolean {
  if (code !== undefined && ['ENOTFOUND', 'ABORT_ERR', 'ECONNREFUSED', 'ERR_PROXY'].includes(code)) return false;
  return !(code?.startsWith('ERR_TLS') || code?.includes('CERT') || code?.includes('SELF_SIGNED') || code === 'EPROTO');
}

/** Seconds or a date (RFC 9110 section 10.2.3), in milliseconds from now. */
function retryAfter(response: IncomingMessage, now: number): number | undefined {
  const text = response.headers['retry-after'];
  if (text === undefined) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0);
}

async function errorOf(
  response: IncomingMessage,
  { method, url }: Pick<RegistryRequest, 'method' | 'url'>,
): Promise<RegistryError> {
  const status = response.statusCode ?? 0;
  const body = method === 'HEAD' ? '' : (await bodyOf(response).catch(() => Buffer.alloc(0))).toString('utf8');
  if (method === 'HEAD') response.resume();
  let errors: readonly { readonly code?: string; readonly message?: string }[] = [];
  try {
    errors = (JSON.parse(body) as { readonly errors?: typeof errors }).errors ?? [];
  } catch {
    // Proxies answer with pages.
  }
  const said = errors.map(({ code, message }) => [code?.toLowerCase(), message].filter(Boolean).join(': ')).join('; ');
  const text = `unexpected status from ${method} request to ${url.origin}${url.pathname}: ${status} ${response.statusMessage ?? ''}`;
  return new RegistryError(status, errors[0]?.code ?? '', said === '' ? text.trimEnd() : `${text.trimEnd()}: ${said}`);
}
