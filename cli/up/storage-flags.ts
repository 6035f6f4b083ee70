import { type Command, InvalidArgumentError, Option } from 'commander';

const seconds = (value: string): number => {
  const match = /^(\d{1,5})s?$/.exec(value);
  if (!match || Number(match[1]) === 0) throw new InvalidArgumentError('seconds are expected, as in 15s');
  return Number(match[1]);
};

/** Where the cluster's state is, and what it takes to share that; Kubernetes' names where it has one. */
export function storageFlags(command: Command): Command {
  return command
    .option('--storage <where>', 'embedded, or etcd://HOST:PORT,HOST:PORT/PREFIX for several API servers', 'embedded')
    .option('--etcd-servers <urls>', 'the same as kube-apiserver has it: http(s)://HOST:PORT, comma separated')
    .option('--etcd-prefix <path>', 'below which everything lies in etcd (default: /trimtab)')
    .option('--etcd-cafile <file>', 'authority of the etcd members’ certificates; makes it TLS')
    .option('--etcd-certfile <file>', 'client certificate for etcd')
    .option('--etcd-keyfile <file>', 'its key')
    .option('--pki-dir <dir>', 'certificates and keys; servers that share a store share them (default: <data-dir>/pki)')
    .addOption(
      new Option(
        '--leader-elect <bool>',
        'only one of several runs controllers and scheduler (default: when the store is shared)',
      ).choices(['true', 'false']),
    )
    .option('--leader-elect-lease-duration <s>', 'after which a leader that is gone is replaced', seconds, 8)
    .option('--leader-elect-renew-deadline <s>', 'after which a leader that cannot renew gives up', seconds, 6)
    .option('--leader-elect-retry-period <s>', 'between two attempts', seconds, 1);
}
