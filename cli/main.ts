import { Command, InvalidArgumentError, Option } from 'commander';
import { CliError, fail } from './errors.js';
import { historyCommands, readsPast } from './history/flags.js';
import { imageCommands } from './images/commands.js';
import { defaultDataDir } from './paths.js';
import { nodeFlags } from './up/node-flags.js';
import { securityFlags } from './up/security-flags.js';
import { storageFlags } from './up/storage-flags.js';
import { VERSION } from './version.js';

/**
 * The `trimtab` command line. Each command's code is loaded when it runs, so `--help` costs only this file.
 */
export async function run(argv: readonly string[]): Promise<void> {
  try {
    await program().parseAsync([...argv]);
  } catch (error) {
    fail(error);
  }
}

function program(): Command {
  const root = new Command('trimtab')
    .description('A Kubernetes-style system in one npm install.')
    .version(VERSION)
    .helpOption('-h, --help', 'show help')
    .showSuggestionAfterError()
    .addHelpText(
      'before',
      examples(
        ['trimtab up', 'a cluster in the foreground, Ctrl-C stops it'],
        ['trimtab up --chart charts/guestbook', 'the same, with a Helm chart installed on it'],
        ['trimtab apply -f app.yaml', 'make the cluster be what the file says'],
        ['trimtab get pods -w', 'see what runs, and what changes'],
        ['trimtab why pod/web', 'why it is pending: every node, and the smallest change that would place it'],
        ['trimtab get pods --at 10:32', 'what there was then'],
        ['trimtab undo', 'take back the last apply'],
        ['trimtab branch create x', 'a copy of the whole state to try things on'],
        ['trimtab doctor', 'what this machine lacks, and how to mend it'],
      ),
    );
  up(root);
  down(root);
  doctor(root);
  imageCommands(root, examples);
  snapshot(root);
  objects(root);
  operators(root);
  return root;
}

function up(root: Command): void {
  const command = root
    .command('up')
    .description('run API server, scheduler, controllers and one node in the foreground')
    .addHelpText(
      'before',
      examples(
        ['trimtab up', 'a one-node cluster'],
        ['trimtab up --port 0 --output json', 'any free port, one JSON object a line'],
        ['trimtab up --no-node --simulated-nodes 3', 'without root: nodes that run nothing'],
      ),
    )
    .option('--data-dir <dir>', 'where everything is kept', defaultDataDir())
    .option('--port <n>', 'API server port; 0 picks a free one', port, 6443)
    .option('--bind <addr>', 'address the API server listens on', '0.0.0.0')
    .option('--kubeconfig <file>', 'where to write the kubeconfig (default: <data-dir>/kubeconfig)')
    .option('--node-name <name>', "this node's name (default: the host's name)")
    .option('--pod-cidr <cidr>', 'addresses for pods', '10.244.0.0/24')
    .option('--service-cidr <cidr>', 'addresses for services', '10.96.0.0/16')
    .option('--dns-domain <domain>', 'domain of cluster names', 'cluster.local')
    .option('--history-commits <n>', 'changes of the past that can be read and watched from', count, 50_000)
    .option('--history-size <MiB>', 'and at most so much of them', count, 64)
    .option('--history-age <minutes>', 'and none older', count, 10)
    .option('--encryption-provider-config <file>', 'EncryptionConfiguration: what is encrypted at rest, and how')
    .option('--encryption-rewrite', 'at start, encrypt everything by the first key; forgets the past')
    .option('--no-node', 'API server and controllers only: no pods are run here')
    .option(
      '--restart-back-off <curve>',
      'how long containers wait after a first restart at once: fast (1 s, doubling to 60 s), kubernetes (10 s to 5 min), or FIRST..LAST',
      'fast',
    )
    .option(
      '--runtime-handler <name=path>',
      'OCI runtime for RuntimeClasses, repeatable (default: crun and runc, if there)',
      collect,
      [],
    )
    .option('--simulated-nodes <n>', 'nodes whose pods run nothing', count, 0)
    .option('--simulated-lifecycle <file>', 'when their pods start, end and are ready, and which nodes fail')
    .option('--event-ttl <minutes>', 'how long events stay after they were last seen; 0 keeps them', count, 60)
    .option('--terminated-pod-gc-threshold <n>', 'pods that have ended and may stay; 0 keeps all', count, 12_500)
    .option('--chart <dir>', 'Helm chart to install once the cluster is ready')
    .option('--set <key=value>', 'value for the chart, repeatable', collect, [])
    .addOption(level())
    .addOption(new Option('--output <format>', 'what stdout carries').choices(['text', 'json']).default('text'));
  nodeFlags(securityFlags(storageFlags(command))).action(async (options) => (await import('./up/up.js')).up(options));
}

function down(root: Command): void {
  root
    .command('down')
    .description('stop the cluster of a data directory and everything it runs; data stays')
    .option('--data-dir <dir>', 'where the cluster keeps its data', defaultDataDir())
    .action(async (options) => (await import('./commands/down.js')).down(options));
}

function doctor(root: Command): void {
  root
    .command('doctor')
    .description('say what this machine lacks for running pods, and the command that mends it')
    .action(async () => (await import('./commands/doctor.js')).doctor());
}

function snapshot(root: Command): void {
  const command = root.command('snapshot').description("the cluster's state in a file, and back");
  const dataDir = (c: Command) => c.option('--data-dir <dir>', 'where the cluster keeps its data', defaultDataDir());
  const lazily = () => import('./commands/snapshot.js');
  dataDir(command.command('save').description('write one, of a running cluster too').argument('<file>')).action(
    async (file, options) => (await lazily()).save(file, options),
  );
  dataDir(
    command.command('restore').description('make the state of a stopped cluster be what one holds').argument('<file>'),
  )
    .option('--force', 'put the state that is there aside')
    .option('--bump-revision <n>', 'how far revisions leap, so that none is used again', count, 1_000_000_000)
    .action(async (file, options) => (await lazily()).restore(file, options));
  dataDir(
    command.command('verify').description("check one; without a file, the cluster's own state").argument('[file]'),
  ).action(async (file, options) => (await lazily()).verify(file, options));
}

/** Commands for people who write controllers. */
function operators(root: Command): void {
  const cluster = (command: Command) =>
    command
      .option(
        '--kubeconfig <file>',
        'cluster to talk to (default: $KUBECONFIG, then the data directory, then ~/.kube/config)',
      )
      .option('--context <name>', 'context of the kubeconfig (default: the current one)');
  root
    .command('create')
    .description('lay out a new project')
    .command('controller')
    .description('a project with a kind, its controller, tests, an image recipe and a chart')
    .argument('<name>', 'in lower case, such as website')
    .option('--directory <dir>', 'where (default: a new directory of that name)')
    .option('--group <group>', 'API group of its kind', 'example.com')
    .action(async (name, options) => (await import('./commands/create-controller.js')).createController(name, options));
  cluster(root.command('dev').description('run an operator from its source, again on every save').argument('<file>'))
    .option('--port <n>', 'serve /metrics, /readyz and /traces there; 0 picks a port', port)
    .action(async (file, options) => (await import('./commands/dev.js')).dev(file, options));
  cluster(root.command('plan').description('show what an operator would do now, and write nothing').argument('<file>'))
    .addOption(new Option('--output <format>', 'what stdout carries').choices(['text', 'json']).default('text'))
    .action(async (file, options) => (await import('./commands/plan.js')).planOperator(file, options));
  root
    .command('manifests')
    .description('print the definitions and the ClusterRole that an operator needs')
    .argument('<file>')
    .action(async (file) => (await import('./commands/plan.js')).manifestsOf(file));
}

/** Commands that talk to a cluster, for those without kubectl. */
function objects(root: Command): void {
  const talking = (parent: Command, usage: string, description: string) =>
    parent
      .command(usage)
      .description(description)
      .option(
        '--kubeconfig <file>',
        'cluster to talk to (default: $KUBECONFIG, then the data directory, then ~/.kube/config)',
      )
      .option('--context <name>', 'context of the kubeconfig (default: the current one)')
      .option('-n, --namespace <namespace>', 'namespace (default: that of the kubeconfig)');
  const command = (usage: string, description: string) => talking(root, usage, description);
  historyCommands(root, talking, examples, count);
  const lazily = () => import('./commands/objects.js');
  command('apply', 'create or change objects so that they are what files say (server-side apply)')
    .requiredOption(
      '-f, --filename <file...>',
      'YAML or JSON files, directories or Helm charts; - reads standard input',
    )
    .option('--force-conflicts', 'take over fields that others own')
    .option('--dry-run', 'show what would happen, store nothing')
    .action(async (options) => (await lazily()).apply(options));
  command('why', 'say why a pod waits or fails and what would mend it, and what writes made an object what it is')
    .argument('<kind/name>')
    .action(async (reference, options) => (await lazily()).why(reference, options));
  readsPast(command('get', 'show objects'), count)
    .argument('<resource>', 'kind or kind/name; several kinds separated by commas')
    .argument('[name...]')
    .option('-A, --all-namespaces', 'all namespaces')
    .option('-l, --selector <selector>', 'label selector')
    .option('-o, --output <format>', 'wide, yaml, json or name')
    .option('-w, --watch', 'go on showing changes')
    .action(async (resource, names, options) => (await lazily()).get(resource, names, options));
  readsPast(command('describe', 'show objects in detail, with their events'), count)
    .argument('<resource>', 'kind or kind/name')
    .argument('[name...]')
    .action(async (resource, names, options) => (await lazily()).describe(resource, names, options));
  command('delete', 'delete objects and wait until they are gone')
    .argument('[resource]', 'kind or kind/name')
    .argument('[name...]')
    .option('-f, --filename <file...>', 'delete what these files name')
    .option('-l, --selector <selector>', 'delete what this label selector finds')
    .option('--no-wait', 'return at once')
    .action(async (resource, names, options) => (await lazily()).remove(resource, names, options));
  command('wait', 'wait for a condition')
    .argument('<resource>', 'kind or kind/name')
    .argument('[name...]')
    .requiredOption('--for <condition>', 'condition=NAME[=VALUE], delete or create')
    .option('--timeout <seconds>', 'give up after', count, 30)
    .action(async (resource, names, options) => (await lazily()).wait(resource, names, options));
  command('logs', "show a container's output")
    .argument('[pod]')
    .option('-c, --container <name>', 'container (default: the first)')
    .option('--gone', 'of a pod that is gone; without a pod, list those whose logs are kept')
    .option('-f, --follow', 'go on as it is written')
    .option('-p, --previous', 'of the run before the last restart')
    .option('--tail <lines>', 'only the last lines', count)
    .option('--timestamps', 'with the time of each line')
    .action(async (pod, options) => (await lazily()).logs(pod, options));
  command('exec', 'run a command in a container')
    .argument('<pod>')
    .argument('<command...>', 'after --')
    .option('-c, --container <name>', 'container (default: the first)')
    .option('-i, --stdin', 'pass standard input')
    .option('-t, --tty', 'with a terminal')
    .action(async (pod, words, options) => (await lazily()).exec(pod, words, options));
}

function examples(...lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([line]) => line.length));
  return `Examples:\n${lines.map(([line, what]) => `  ${line.padEnd(width)}   ${what}`).join('\n')}\n`;
}

function level(): Option {
  return new Option('--log-level <level>', 'how much is logged, to standard error')
    .choices(['debug', 'info', 'warn', 'error', 'silent'])
    .default('warn');
}

function count(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a whole number is expected.');
  return Number(text);
}

function port(text: string): number {
  const value = count(text);
  if (value > 65535) throw new InvalidArgumentError('a port is at most 65535.');
  return value;
}

function collect(text: string, before: readonly string[]): readonly string[] {
  if (!text.includes('=')) throw new InvalidArgumentError('key=value is expected.');
  return [...before, text];
}

export { CliError };
