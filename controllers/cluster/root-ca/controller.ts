import { type ControllerDefinition, controller, watch } from '@trimtab/framework';
import { ConfigMaps, Namespaces } from '@trimtab/machinery';
import { ROOT_CA } from './effects.js';
import { rootCaMachine } from './machine.js';

/** Every live namespace has a config map `kube-root-ca.crt` with `caCertificate` (PEM), also after somebody changed it. */
export const rootCaPublisher = (caCertificate: string): ControllerDefinition =>
  controller({
    name: 'root-ca-certificate-publisher',
    for: Namespaces,
    watches: [watch(ConfigMaps, ({ metadata }) => (metadata.name === ROOT_CA ? [{ name: metadata.namespace! }] : []))],
    machine: rootCaMachine(caCertificate),
  });
