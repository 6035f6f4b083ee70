import { HttpClient } from '@trimtab/client';
import type { Clock } from '@trimtab/machinery';
import type { ControlPlane } from './control-plane.js';

/**
 * Reads what aggregated servers (`metrics.k8s.io` and its kin) have, through our own door: nobody else knows the way to
 * them. Nothing is connected before somebody asks.
 */
export class AggregatedReader {
  readonly #client: HttpClient;

  constructor(plane: ControlPlane, clock: Clock) {
    this.#client = new HttpClient({
      clock,
      userAgent: 'kube-controller-manager',
      connection: {
        server: plane.server.url,
        ca: plane.pki.caCertificate,
        // Asked for each time, for it is renewed.
        credentials: {
          get: async () => ({ cert: plane.pki.admin.certificate, key: plane.pki.admin.key }),
          refused: () => {},
        },
      },
    });
  }

  /** The text of a GET; rejects with a StatusError. */
  read(path: string): Promise<string> {
    return this.#client.raw(path);
  }

  close(): void {
    this.#client.close();
  }
}
