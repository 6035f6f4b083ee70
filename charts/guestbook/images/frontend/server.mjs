import http from 'node:http';
import { redis } from './redis.mjs';

const port = Number(process.env.PORT ?? 8080);
const pod = process.env.POD_NAME ?? 'frontend';
const LEADER = process.env.REDIS_LEADER ?? 'redis-leader';
const FOLLOWER = process.env.REDIS_FOLLOWER ?? 'redis-follower';

const escape = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const page = (messages) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Guestbook</title>
<meta name="viewport" content="width=device-width">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color: #1d2733 }
form { display: flex; gap: .5rem } input { flex: 1; font: inherit; padding: .5rem .75rem; border: 1px solid #b8c4d0; border-radius: .4rem }
button { font: inherit; padding: .5rem 1rem; border: 0; border-radius: .4rem; background: #1b6ac9; color: #fff }
li { padding: .4rem 0; border-bottom: 1px solid #e6ebf0 } ul { list-style: none; padding: 0 } footer { color: #6b7785; font-size: .85rem }
</style></head><body>
<h1>Guestbook</h1>
<form method="post" action="/"><input name="message" placeholder="Leave a message" required maxlength="500" autofocus><button>Post</button></form>
<ul>${messages.map((m) => `<li>${escape(m)}</li>`).join('')}</ul>
<footer>Served by ${escape(pod)}</footer>
</body></html>`;

async function body(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 10_000) throw Object.assign(new Error('message too long'), { code: 413 });
  }
  return text;
}

const list = () => redis(FOLLOWER, 6379, 'LRANGE', 'guestbook', '0', '99');

async function handle(request, response) {
  const { pathname } = new URL(request.url, 'http://guestbook');
  const send = (code, type, text) => response.writeHead(code, { 'content-type': `${type}; charset=utf-8` }).end(text);
  if (pathname === '/livez') return send(200, 'text/plain', 'ok');
  if (pathname === '/healthz') {
    await redis(LEADER, 6379, 'PING');
    return send(200, 'text/plain', 'ok');
  }
  if (pathname === '/api/messages' && request.method === 'GET') return send(200, 'application/json', JSON.stringify(await list()));
  if (pathname === '/' && request.method === 'GET') return send(200, 'text/html', page(await list()));
  if (pathname === '/' && request.method === 'POST') {
    const message = new URLSearchParams(await body(request)).get('message')?.trim().slice(0, 500);
    if (!message) return send(400, 'text/plain', 'a message is needed\n');
    await redis(LEADER, 6379, 'LPUSH', 'guestbook', message);
    return response.writeHead(303, { location: '/' }).end();
  }
  return send(404, 'text/plain', 'not found\n');
}

const server = http.createServer((request, response) => {
  handle(request, response).catch((error) => {
    console.error(`${request.method} ${request.url}: ${error.message}`);
    if (!response.headersSent) response.writeHead(error.code === 413 ? 413 : 503, { 'content-type': 'text/plain' });
    response.end(`${error.message}\n`);
  });
});
server.listen(port, () => console.log(`guestbook frontend ${pod} listens on port ${port}`));
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => server.close(() => process.exit(0)) && server.closeAllConnections());
