import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';

const TIMEOUT_MS = 30_000;

/**
 * A socket to `host:port` through a proxy: `http:` and `https:` (CONNECT), `socks5:` and `socks5h:` (RFC 1928, 1929; names
 * are resolved by the proxy). User and password stand in its URL.
 *
 * @throws Error naming the proxy and what it said.
 */
export function openTunnel(proxy: URL, host: string, port: number): Promise<net.Socket> {
  switch (proxy.protocol) {
    case 'http:':
    case 'https:':
      return connectThrough(proxy, host, port);
    case 'socks5:':
    case 'socks5h:':
      return socks(proxy, host, port);
    default:
      throw new Error(`proxy ${proxy.origin}: ${proxy.protocol} is none of http, https, socks5`);
  }
}

/** Whether a host is reached without the proxy, as `NO_PROXY` says: names, domains, addresses, `*`. */
export function bypasses(noProxy: string, host: string): boolean {
  return noProxy
    .split(',')
    .map((entry) => entry.trim().replace(/^\*?\./, ''))
    .filter(Boolean)
    .some((entry) => entry === '*' || host === entry || host.endsWith(`.${entry}`));
}

function connectThrough(proxy: URL, host: string, port: number): Promise<net.Socket> {
  const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const { request } = proxy.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const asked = request({
      method: 'CONNECT',
      host: proxy.hostname,
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      path: target,
      timeout: TIMEOUT_MS,
      headers: { host: target, ...authorization(proxy) },
    });
    asked.once('connect', ({ statusCode, statusMessage }, socket) => {
      if (statusCode === 200) return resolve(socket as net.Socket);
      socket.destroy();
      reject(new Error(`proxy ${proxy.host} refused: ${statusCode} ${statusMessage}`));
    });
    asked.once('timeout', () => asked.destroy(new Error(`proxy ${proxy.host} does not answer`)));
    asked.once('error', reject);
    asked.end();
  });
}

const authorization = ({ username, password }: URL): Record<string, string> =>
  username
    ? {
        'proxy-authorization': `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`,
      }
    : {};

async function socks(proxy: URL, host: string, port: number): Promise<net.Socket> {
  const socket = net.connect(Number(proxy.port || 1080), proxy.hostname);
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`proxy ${proxy.host} does not answer`)));
  const fail = (why: string): never => {
    socket.destroy();
    throw new Error(`proxy ${proxy.host}: ${why}`);
  };
  const login = proxy.username !== '';
  socket.write(Buffer.from(login ? [5, 2, 0, 2] : [5, 1, 0]));
  const [, method] = await read(socket, 2);
  if (method === 2) {
    const [user, password] = [proxy.username, proxy.password].map((v) => Buffer.from(decodeURIComponent(v)));
    socket.write(Buffer.concat([Buffer.of(1, user!.length), user!, Buffer.of(password!.length), password!]));
    if ((await read(socket, 2))[1] !== 0) fail('user or password refused');
  } else if (method !== 0) fail('no common way to log in');
  const name = Buffer.from(host);
  socket.write(Buffer.concat([Buffer.of(5, 1, 0, 3, name.length), name, Buffer.of(port >> 8, port & 255)]));
  const [, reply, , kind] = await read(socket, 4);
  if (reply !== 0) fail(`cannot reach ${host}:${port} (SOCKS reply ${reply})`);
  const length = kind === 1 ? 4 : kind === 4 ? 16 : (await read(socket, 1))[0]!;
  await read(socket, length + 2);
  socket.setTimeout(0);
  return socket;
}

/** Exactly `n` bytes, leaving the rest where they are. */
function read(socket: net.Socket, n: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const attempt = () => {
      const chunk = socket.read(n) as Buffer | null;
      if (!chunk) return;
      stop();
      resolve(chunk);
    };
    const failed = (error?: Error) => {
      stop();
      reject(error ?? new Error('the proxy closed the connection'));
    };
    const ended = () => failed();
    const stop = () => {
      socket.off('readable', attempt);
      socket.off('error', failed);
      socket.off('end', ended);
    };
    socket.on('readable', attempt);
    socket.once('error', failed);
    socket.once('end', ended);
    attempt();
  });
}

/** An agent whose connections go through the proxy, for those that take no socket. */
export function tunnellingAgent(
  proxy: string,
  options: tls.ConnectionOptions & { readonly secure: boolean },
): http.Agent {
  const agent = options.secure ? new https.Agent({ keepAlive: true, ...options }) : new http.Agent({ keepAlive: true });
  const connect = (to: tls.ConnectionOptions, done: (error: Error | null, socket?: net.Socket) => void) => {
    openTunnel(new URL(proxy), to.host ?? '', Number(to.port)).then(
      (socket) => done(null, options.secure ? tls.connect({ ...options, ...to, socket }) : socket),
      (error: Error) => done(error),
    );
  };
  return Object.assign(agent, { createConnection: connect });
}
