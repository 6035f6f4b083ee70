import { connect } from './wire.mjs';

/**
 * Many watchers in a process of their own. They look in each event for the time the writer put into it (both clocks are the
 * machine's), and do nothing else with it: what is measured is the server, not a thousand JSON parsers on the same core.
 */
const [text] = process.argv.slice(2);
const { where, watchers, connections, path, each } = JSON.parse(text);
const marker = Buffer.from('sent-at":"');
let delays = [];
let events = 0;
const sessions = Array.from({ length: connections }, () => connect(where));
const open = (session, i) =>
  new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'GET',
      ':path': each ? `${path}${i}` : path,
      accept: 'application/json',
    });
    stream.on('response', resolve);
    stream.on('error', reject);
    stream.on('data', (chunk) => {
      const now = Number(process.hrtime.bigint());
      for (let at = chunk.indexOf(marker); at >= 0; at = chunk.indexOf(marker, at + 1)) {
        const start = at + marker.length;
        const sent = Number(chunk.toString('latin1', start, chunk.indexOf(34, start)));
        if (sent > 0) delays.push((now - sent) / 1e6);
        events++;
      }
    });
  });
for (let i = 0; i < watchers; i += 100)
  await Promise.all(
    Array.from({ length: Math.min(100, watchers - i) }, (_, j) => open(sessions[(i + j) % connections], i + j)),
  );
process.on('message', ({ id, command }) => {
  if (command === 'take') {
    process.send({ id, value: { delays, events } });
    delays = [];
    events = 0;
  }
});
process.on('disconnect', () => process.exit(0));
process.send({ ready: true });
