import { type ApiCall, type Client, interpose, requestVerb } from '@trimtab/client';
import { type Clock, StatusError } from '@trimtab/machinery';

const METHODS: Readonly<Record<string, string>> = {
  get: 'GET',
  list: 'GET',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETE',
};

export interface RequestMetrics {
  /** `rest_client_requests_total`, `rest_client_request_duration_seconds`; `code` is `<error>` where no answer came. */
  requested(method: string, code: string, seconds: number): void;
}

/** The same client, whose requests are counted as client-go counts its own. */
export const countedClient = (client: Client, clock: Clock, metrics: RequestMetrics): Client =>
  interpose(client, async (call, next) => {
    const began = clock.now();
    const tell = (code: string) => metrics.requested(methodOf(call), code, (clock.now() - began) / 1000);
    try {
      const answer = await next(call);
      tell(requestVerb(call) === 'create' ? '201' : '200');
      return answer;
    } catch (error) {
      tell(error instanceof StatusError ? String(error.status.code) : '<error>');
      throw error;
    }
  });

const methodOf = (call: ApiCall): string => METHODS[requestVerb(call) ?? 'get'] ?? 'GET';
