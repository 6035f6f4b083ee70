/** Programs for pods of the network tests, run by Node in the guestbook's image: what the conformance suite has in images of its own. */

/**
 * Serves HTTP on the ports PORTS (8080), TLS on TLS_PORT if it is given, and UDP on UDP_PORT (8081). HTTP answers `/hostname`, `/clientip`,
 * and anything else with `{method, path, port}`; UDP answers with the host name.
 */
export const SERVER = `
const { createServer } = require('http'), os = require('os');
const listener = (port) => (request, response) => {
  const path = request.url.split('?')[0];
  if (path === '/hostname') return response.end(os.hostname());
  if (path === '/clientip') return response.end(request.socket.remoteAddress.replace('::ffff:', ''));
  response.setHeader('content-type', 'application/json');
  response.end(request.method === 'HEAD' ? undefined : JSON.stringify({ method: request.method, path: request.url, port }));
};
for (const port of (process.env.PORTS || '8080').split(',')) createServer(listener(Number(port))).listen(port);
const udp = require('dgram').createSocket('udp4');
udp.on('message', (message, from) => udp.send(os.hostname(), from.port, from.address));
udp.bind(Number(process.env.UDP_PORT || 8081));
if (process.env.TLS_PORT) {
  const [key, cert] = [process.env.KEY, process.env.CERT];
  require('https').createServer({ key, cert }, listener(Number(process.env.TLS_PORT))).listen(process.env.TLS_PORT);
}
process.on('SIGTERM', () => process.exit(0));
`;

/** Waits to be asked for things with `exec`. */
export const IDLE = `process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1e6);`;

/** Prints what an HTTP server answers, or the error's code; a new connection each time. */
export const FETCH = `
const [url, times = '1'] = process.argv.slice(1);
const ask = () => new Promise((done) => {
  const get = require(url.startsWith('https') ? 'https' : 'http').get;
  get(url, { agent: false, timeout: 60000 }, (answer) => {
    let text = ''; answer.on('data', (data) => { text += data; }); answer.on('end', () => done(text));
  }).on('error', (error) => done(error.code)).on('timeout', function () { this.destroy(Object.assign(new Error(), { code: 'timeout' })); });
});
(async () => { for (let n = 0; n < +times; n++) console.log(await ask()); })();
`;

/** Prints what a UDP server answers, asking again every half second, or the error's code. */
export const ASK_UDP = `
const [host, port] = process.argv.slice(1);
const socket = require('dgram').createSocket('udp4');
const end = (text) => { console.log(text); process.exit(0); };
socket.on('message', (message) => end(String(message)));
socket.on('error', (error) => end(error.code));
socket.connect(+port, host, () => { socket.send('?'); setInterval(() => socket.send('?', () => {}), 500); });
setTimeout(() => end('timeout'), 60000);
`;

/** Prints as JSON what the pod's resolver (its own files and servers) makes of a name: \`[kind, name]\`. */
export const RESOLVE = `
const [kind, name] = process.argv.slice(1), { promises } = require('dns');
const ways = {
  // As programs do: /etc/hosts, the search list, the servers.
  any: async () => (await promises.lookup(name, { all: true })).map(({ address }) => address),
  A: () => promises.resolve4(name), SRV: async () => (await promises.resolveSrv(name)).map(({ name, port }) => [name, port]),
  CNAME: () => promises.resolveCname(name), PTR: () => promises.reverse(name),
  TCP: () => new Promise((done, failed) => {
    const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
    const query = Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
    const socket = require('net').connect(53, require('dns').getServers()[0]);
    let said = Buffer.alloc(0);
    socket.on('error', failed).write(Buffer.concat([Buffer.from([0, query.length]), query]));
    socket.on('data', (data) => {
      said = Buffer.concat([said, data]);
      if (said.length < 2 || said.length < 2 + said.readUInt16BE(0)) return;
      done([said.subarray(-4).join('.')]); socket.destroy();
    });
  }),
};
ways[kind]().then((found) => console.log(JSON.stringify(found)), (error) => console.log(JSON.stringify(error.code)));
`;

/** What a pod may learn of who gives out its token: prints the issuer, and whether a key of the issuer's signed it. */
export const DISCOVER = `
const { readFileSync } = require('fs'), { createPublicKey, verify } = require('crypto');
const token = readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/token', 'utf8');
const get = async (url) => {
  const answer = await fetch(url, { headers: { authorization: 'Bearer ' + token } });
  if (!answer.ok) throw new Error(url + ': ' + answer.status + ' ' + await answer.text());
  return answer.json();
};
(async () => {
  const server = 'https://kubernetes.default.svc';
  const discovered = await get(server + '/.well-known/openid-configuration');
  const { keys } = await get(server + new URL(discovered.jwks_uri).pathname);
  const [head, claims, signature] = token.split('.');
  const { alg, kid } = JSON.parse(Buffer.from(head, 'base64url'));
  const key = createPublicKey({ key: keys.find((one) => one.kid === kid), format: 'jwk' });
  const options = alg.startsWith('ES') ? { key, dsaEncoding: 'ieee-p1363' } : key;
  const good = verify('sha256', Buffer.from(head + '.' + claims), options, Buffer.from(signature, 'base64url'));
  console.log(discovered.issuer === JSON.parse(Buffer.from(claims, 'base64url')).iss, good);
})().catch((error) => console.log('failed', error.message, error.cause));
`;
