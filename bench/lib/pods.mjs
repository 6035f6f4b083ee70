import { REDIS } from './cluster.mjs';

/** A shell that sleeps, and ends at once when asked to: what starting a pod costs without the program in it. */
export const SLEEP = "trap 'exit 0' TERM; sleep 100000 & wait";

/** A pod of one such shell from the guestbook's redis image. @param {string} name */
export function plainPod(name, image = REDIS) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app: 'bench' } },
    spec: { containers: [{ name: 'main', image, imagePullPolicy: 'Never', command: ['/bin/sh', '-c', SLEEP] }] },
  };
}
