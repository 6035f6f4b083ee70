import net from 'node:net';

/** One request over a fresh connection in Redis' own protocol; arrays of bulk strings, simple strings and integers are read. */
export function redis(host, port, ...args) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port });
    let received = Buffer.alloc(0);
    socket.setTimeout(2000, () => socket.destroy(new Error(`${host}:${port} does not answer`)));
    socket.on('error', reject);
    socket.on('connect', () => {
      socket.write(`*${args.length}\r\n${args.map((a) => `$${Buffer.byteLength(a)}\r\n${a}\r\n`).join('')}`);
    });
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const reply = parse(received, 0);
      if (reply === undefined) return;
      socket.end();
      if (reply.value instanceof Error) reject(reply.value);
      else resolve(reply.value);
    });
    socket.on('close', () => reject(new Error(`${host}:${port} closed the connection`)));
  });
}

/** The reply that begins at `at` and where it ends; undefined while it is not all there. */
function parse(bytes, at) {
  const end = bytes.indexOf('\r\n', at);
  if (end < 0) return undefined;
  const line = bytes.toString('utf8', at + 1, end);
  const after = end + 2;
  switch (String.fromCharCode(bytes[at])) {
    case '+':
      return { value: line, end: after };
    case ':':
      return { value: Number(line), end: after };
    case '-':
      return { value: new Error(line), end: after };
    case '$': {
      const length = Number(line);
      if (length < 0) return { value: null, end: after };
      if (bytes.length < after + length + 2) return undefined;
      return { value: bytes.toString('utf8', after, after + length), end: after + length + 2 };
    }
    default: {
      const items = [];
      let next = after;
      for (let i = 0; i < Number(line); i++) {
        const item = parse(bytes, next);
        if (item === undefined) return undefined;
        items.push(item.value);
        next = item.end;
      }
      return { value: items, end: next };
    }
  }
}
