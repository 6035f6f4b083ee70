import { causes, type StatusCause } from '@trimtab/machinery';

/** Where a webhook is and whom to believe that it is the one: `url` or `service`, as in `WebhookClientConfig`. */
export interface WebhookClientConfig {
  readonly url?: string;
  readonly service?: {
    readonly namespace: string;
    readonly name: string;
    readonly path?: string;
    /** 443 unless said otherwise. */
    readonly port?: number;
  };
  /** Base64 of PEM certificates; the system's authorities where it is empty. */
  readonly caBundle?: string;
}

/** One call's place, before anybody has looked up an address. */
export interface WebhookPlace {
  /** With the `timeout` parameter, as it is named in errors. */
  readonly url: string;
  readonly service?: { readonly namespace: string; readonly name: string; readonly port: number };
  /** The name the server's certificate has to be for. */
  readonly serverName: string;
  readonly port: number;
  /** PEM. */
  readonly ca?: string;
}

const defaultPort = 443;

/** Throws an Error that says what is wrong with the configuration. */
export function placeOf(config: WebhookClientConfig, timeoutMs: number): WebhookPlace {
  const ca = config.caBundle ? Buffer.from(config.caBundle, 'base64').toString('latin1') : undefined;
  const timeout = `timeout=${seconds(timeoutMs)}`;
  if (config.service) {
    const { namespace, name, path = '', port = defaultPort } = config.service;
    const serverName = `${name}.${namespace}.svc`;
    const url = `https://${serverName}:${port}${path.startsWith('/') ? '' : '/'}${path}`;
    return { url: `${url}?${timeout}`, service: { namespace, name, port }, serverName, port, ca };
  }
  if (!config.url) throw new Error('webhook configuration must have either service or URL');
  const url = new URL(config.url);
  url.search = timeout;
  const serverName = url.hostname.replace(/^\[|\]$/g, '');
  return { url: url.href, serverName, port: Number(url.port || defaultPort), ca };
}

/** As Go prints durations of whole or broken seconds: `10s`, `1.5s`. */
const seconds = (ms: number): string => `${ms / 1000}s`;

/** All that is wrong with a client configuration, at `field` (kubernetes: util/webhook ValidateWebhookURL and -Service). */
export function validateClientConfig(field: string, config: WebhookClientConfig | undefined): readonly StatusCause[] {
  if ((config?.url === undefined) === (config?.service === undefined))
    return [causes.required(field, 'exactly one of url or service is required')];
  const { url, service } = config!;
  return url === undefined ? serviceProblems(`${field}.service`, service!) : urlProblems(`${field}.url`, url);
}

function urlProblems(field: string, text: string): readonly StatusCause[] {
  const form = '; desired format: https://host[/path]';
  const wrong = (value: string, why: string) => causes.invalid(field, value, why + form);
  if (!URL.canParse(text))
    return [causes.required(field, `url must be a valid URL: parse ${JSON.stringify(text)}: invalid URI${form}`)];
  const url = new URL(text);
  return [
    ...(url.protocol === 'https:' ? [] : [wrong(url.protocol.slice(0, -1), "'https' is the only allowed URL scheme")]),
    ...(url.host === '' ? [wrong(url.host, 'host must be specified')] : []),
    ...(url.username || url.password ? [wrong(url.username, 'user information is not permitted in the URL')] : []),
    ...(url.hash ? [wrong(url.hash.slice(1), 'fragments are not permitted in the URL')] : []),
    ...(url.search ? [wrong(url.search.slice(1), 'query parameters are not permitted in the URL')] : []),
  ];
}

function serviceProblems(
  field: string,
  { namespace, name, path, port = defaultPort }: NonNullable<WebhookClientConfig['service']>,
): readonly StatusCause[] {
  const problems: StatusCause[] = [];
  if (!name) problems.push(causes.required(`${field}.name`, 'service name is required'));
  if (!namespace) problems.push(causes.required(`${field}.namespace`, 'service namespace is required'));
  if (port < 1 || port > 65535)
    problems.push(causes.invalid(`${field}.port`, port, 'port is not valid: must be between 1 and 65535, inclusive'));
  if (path === undefined || path === '' || path === '/') return problems;
  const bad = (why: string) => problems.push(causes.invalid(`${field}.path`, path, why));
  if (path === '//') bad('segment[0] may not be empty');
  if (!path.startsWith('/')) bad("must start with a '/'");
  const segments = path.replace(/^\//, '').replace(/\/$/, '').split('/');
  if (path !== '//')
    segments.forEach((segment, i) => {
      if (segment === '') bad(`segment[${i}] may not be empty`);
      else if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(segment))
        bad(
          `segment[${i}]: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
        );
    });
  return problems;
}
