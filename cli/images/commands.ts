import { type Command, Option } from 'commander';
import { defaultDataDir } from '../paths.js';

type Examples = (...lines: readonly (readonly [string, string])[]) => string;

/** The command line of images; what it does is loaded when it runs. */
export function imageCommands(root: Command, examples: Examples): void {
  const command = root
    .command('image')
    .alias('images')
    .description('images pods can be made from')
    .addHelpText(
      'before',
      examples(
        ['trimtab image pull redis:7', 'fetch from a registry'],
        ['trimtab image load app.tar', 'read what docker save or skopeo wrote'],
        ['trimtab image push app:1 registry.example.com/app:1', 'send to a registry'],
        ['trimtab build -t app:1 .', 'make one from a Dockerfile'],
      ),
    );
  const transfer = () => import('./transfer.js');
  const manage = () => import('./manage.js');
  const on = (usage: string, description: string): Command =>
    command
      .command(usage)
      .description(description)
      .option('--data-dir <dir>', 'where the cluster keeps its data', defaultDataDir());
  const registry = (c: Command): Command =>
    c
      .option('--registries <file>', 'mirrors and settings of registries (default: <data-dir>/registries.yaml)')
      .option('--creds <user:password>', 'instead of what docker or podman have logged in with')
      .option('--ca <file>', "certificates to trust besides the system's")
      .option('--insecure', "do not check the registry's certificate")
      .option('-q, --quiet', 'print the digest only');
  on('load', 'read docker-save or OCI archives')
    .argument('<file...>', 'tar, also in gzip; - reads standard input')
    .action(async (files, options) => (await transfer()).load(files, options));
  on('save', 'write images as an archive that docker load and OCI tools read')
    .argument('<reference...>')
    .option('-o, --output <file>', 'where to (default: standard output)')
    .action(async (references, options) => (await transfer()).save(references, options));
  registry(on('pull', 'fetch images from a registry'))
    .argument('<reference...>')
    .option('--platform <os/arch>', "variant to fetch (default: this machine's)")
    .action(async (references, options) => (await transfer()).pull(references, options));
  registry(on('push', 'send an image to a registry'))
    .argument('<reference>')
    .argument('[destination]', 'name to send it under')
    .action(async (reference, destination, options) => (await transfer()).push(reference, destination, options));
  on('ls', 'list images')
    .option('--digests', 'with the digests of their manifests')
    .addOption(new Option('-o, --output <format>', 'for programs').choices(['json']))
    .action(async (options) => (await manage()).list(options));
  on('inspect', 'show all that is known of images')
    .argument('<reference...>')
    .action(async (references, options) => (await manage()).inspect(references, options));
  on('rm', 'remove images')
    .argument('<reference...>')
    .action(async (references, options) => (await manage()).remove(references, options));
  on('tag', 'give an image another name')
    .argument('<reference>')
    .argument('<name>')
    .action(async (reference, name, options) => (await manage()).tag(reference, name, options));
  on('pin', 'keep images whatever the disk says')
    .argument('<reference...>')
    .option('--off', 'no longer')
    .action(async (references, options) => (await manage()).pin(references, options));
  on('prune', 'remove images without a name, and layers nobody needs')
    .option('-a, --all', 'and images no running container stands on')
    .action(async (options) => (await manage()).prune(options));
  on('assemble', 'make images from files of this machine')
    .argument('<recipe...>')
    .action(async (recipes, options) => (await import('../commands/assemble.js')).assemble(recipes, options));
  const collect = (text: string, before: readonly string[]): readonly string[] => [...before, text];
  registry(
    root
      .command('build')
      .description('make an image from a Dockerfile; pods can use it at once')
      .argument('<context>', 'directory COPY and ADD take files from')
      .option('--data-dir <dir>', 'where the cluster keeps its data', defaultDataDir()),
  )
    .addHelpText(
      'before',
      examples(
        ['trimtab build -t app:1 .', 'the Dockerfile of this directory'],
        ['trimtab build -t app:1 --target test --build-arg VERSION=2 .', 'one stage of it, with an argument'],
        ['SOURCE_DATE_EPOCH=0 trimtab build -t app:1 .', 'the same bytes every time'],
      ),
    )
    .option('-t, --tag <name>', 'what to call it, repeatable', collect, [])
    .option('-f, --file <file>', 'the Dockerfile (default: <context>/Dockerfile); - reads standard input')
    .option('--build-arg <name=value>', 'value of an ARG, repeatable', collect, [])
    .option('--label <name=value>', 'label of the image, repeatable', collect, [])
    .option('--target <stage>', 'stage to build (default: the last)')
    .option('--no-cache', 'carry every step out again')
    .option('--pull', 'look for newer base images')
    .option('--platform <os/arch>', "platform of base images (default: this machine's)")
    .addOption(new Option('--network <network>', 'of RUN').choices(['host', 'none']).default('host'))
    .action(async (context, options) => (await import('./build.js')).build(context, options));
}
