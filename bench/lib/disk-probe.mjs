/** A worker that writes and syncs 4 KB every 20 ms beside whatever is measured: what the disk alone makes anybody wait. */
import { closeSync, fdatasyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

const file = openSync(workerData.file, 'w');
const bytes = Buffer.alloc(4096, 1);
const values = [];
let position = 0;
const timer = setInterval(() => {
  const start = performance.now();
  writeSync(file, bytes, 0, bytes.length, position);
  fdatasyncSync(file);
  values.push(performance.now() - start);
  position += bytes.length;
}, 20);
parentPort.once('message', () => {
  clearInterval(timer);
  closeSync(file);
  unlinkSync(workerData.file);
  parentPort.postMessage(values);
});
