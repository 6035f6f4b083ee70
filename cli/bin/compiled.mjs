import { isAscii } from 'node:buffer';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';

/**
 * Runs a CommonJS file with what V8 kept of compiling it before, and gives its exports. What another Node, other V8 flags or
 * another text left behind is not taken: then the file is compiled as usual.
 */
export function loadCompiled(file) {
  const bytes = readFileSync(file);
  const sum = crc32(bytes);
  const cachedData = kept(file, sum);
  const text = isAscii(bytes) ? bytes.latin1Slice() : bytes.toString();
  const source = `(function (exports, require, module, __filename, __dirname, __importFile) {${text}\n})`;
  const script = new Script(source, { filename: file, cachedData });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file, dirname(file), importFile);
  const taken = cachedData !== undefined && !script.cachedDataRejected;
  return { exports: module.exports, taken, keep: () => keep(file, sum, script.createCachedData()) };
}

/** Operators that are run from their source are loaded as modules, which what V8 kept of a script cannot do. */
const importFile = (url) => import(url);

const besides = (file) => `${file}.compiled`;

/** V8 itself looks at the length of the text only. */
function kept(file, sum) {
  try {
    const bytes = readFileSync(besides(file));
    return bytes.readUInt32LE(0) === sum ? bytes.subarray(8) : undefined;
  } catch {
    return undefined;
  }
}

function keep(file, sum, data) {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(sum);
  const whole = `${besides(file)}.${process.pid}`;
  writeFileSync(whole, Buffer.concat([head, data]));
  renameSync(whole, besides(file));
}
