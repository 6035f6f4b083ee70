import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * A small shell that runs commands and times them: starting a program from a process of Node's size costs several times
 * what it costs from this one.
 */
const SCRIPT = `
while IFS= read -r line; do
  began=$EPOCHREALTIME
  eval "$line" </dev/null >/dev/null 2>"$1"
  code=$?
  ended=$EPOCHREALTIME
  echo "$(( (\${ended/[.,]/} - \${began/[.,]/}) )) $code"
done
`;

export class Stopwatch {
  #shell;
  #answers;

  /** @param {import('./private-view.mjs').PrivateView} view @param {string} errors file that gets what a command said */
  constructor(view, errors) {
    this.#shell = spawn(...view.inside('bash', ['-c', SCRIPT, 'stopwatch', errors]), {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#answers = createInterface({ input: this.#shell.stdout })[Symbol.asyncIterator]();
  }

  /** Runs a command line of the shell. @returns {Promise<{ ms: number, code: number }>} */
  async time(command) {
    this.#shell.stdin.write(`${command}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('the shell that times commands has ended');
    const [micros, code] = value.split(' ').map(Number);
    return { ms: micros / 1000, code };
  }

  close() {
    this.#shell.stdin.end();
  }
}
