import { connect } from './wire.mjs';

/**
 * Many watchers in a process of their own, as a cluster has them: most follow the pods of one node, some a namespace's, a few
 * all. They look in each event for the time the writer put into it, and do nothing else with it.
 */
const [text] = process.argv.slice(2);
const { where, paths, connections } = JSON.parse(text);
const marker = Buffer.from('sent-at":"');
let delays = [];
const sessions = Array.from({ length: connections }, () => connect(where));
const open = (session, path) =>
  new Promise((resolve, reject) => {
    const stream = session.request({ ':path': path, accept: 'application/json' });
    // The annotation stays on the pod, and is in later events as well.
    const seen = new Set();
    stream.on('response', (headers) =>
      headers[':status'] === 200 ? resolve() : reject(new Error(`${path}: ${headers[':status']}`)),
    );
    stream.on('error', reject);
    stream.on('data', (chunk) => {
      const now = Number(process.hrtime.bigint());
      for (let at = chunk.indexOf(marker); at >= 0; at = chunk.indexOf(marker, at + 1)) {
        const start = at + marker.length;
        const end = chunk.indexOf(34, start);
        const sent = end < 0 ? '' : chunk.toString('latin1', start, end);
        if (sent === '' || seen.has(sent)) continue;
        seen.add(sent);
        delays.push((now - Number(sent)) / 1e6);
      }
    });
  });
for (let i = 0; i < paths.length; i += 50)
  await Promise.all(paths.slice(i, i + 50).map((path, j) => open(sessions[(i + j) % connections], path)));
process.on('message', ({ id, command }) => {
  if (command !== 'take') return;
  process.send({ id, value: delays });
  delays = [];
});
process.on('disconnect', () => process.exit(0));
process.send({ ready: true });
