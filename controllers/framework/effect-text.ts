import { joinKey } from '@trimtab/machinery';
import type { Effect } from './effects.js';

/** An effect in a few words: `call dns.remove`, `apply deployments ns/web`. */
export function effectText(effect: Effect): string {
  switch (effect.type) {
    case 'call':
      return `call ${effect.handler}`;
    case 'batch':
      return effect.effects.map(effectText).join(', ');
    case 'event':
      return `event ${effect.event.reason}`;
    case 'requeueAfter':
    case 'done':
      return effect.type;
    case 'deleteAll':
      return `delete all ${effect.resource.resource} of ${effect.namespace}`;
    default: {
      const { metadata } = 'object' in effect ? effect.object : { metadata: undefined };
      const key = 'key' in effect ? effect.key : { namespace: metadata?.namespace, name: metadata?.name ?? '*' };
      const sub = 'subresource' in effect && effect.subresource ? `/${effect.subresource}` : '';
      return `${effect.type} ${effect.resource.resource}${sub} ${joinKey(key)}`;
    }
  }
}
