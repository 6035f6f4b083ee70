import { fork } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A helper process spoken to by commands; its first message says that it is ready. */
export class Child {
  #next = 0;
  #waiting = new Map();

  /** @param {string} script beside this file @param {readonly string[]} args @param {readonly string[]} [nodeArgs] */
  static async start(script, args, nodeArgs = []) {
    const child = new Child();
    child.process = fork(join(dirname(fileURLToPath(import.meta.url)), script), args, {
      execArgv: ['--no-warnings', ...nodeArgs],
      serialization: 'advanced',
    });
    child.ready = await new Promise((resolve, reject) => {
      child.process.once('message', resolve);
      child.process.once('exit', (code) => reject(new Error(`${script} ended with ${code}`)));
    });
    child.process.on('message', ({ id, value }) => {
      child.#waiting.get(id)?.(value);
      child.#waiting.delete(id);
    });
    return child;
  }

  get pid() {
    return this.process.pid;
  }

  ask(command, argument) {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.process.send({ id, command, argument });
    });
  }

  stop() {
    return new Promise((resolve) => {
      this.process.once('exit', resolve);
      this.process.disconnect();
    });
  }
}
