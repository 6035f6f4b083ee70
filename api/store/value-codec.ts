import { StoreFailedError, type Value } from './engine/engine.js';

/** How the text of an object becomes what is stored, and back. */
export interface ValueCodec {
  seal(key: string, text: string): Value;
  /** JSON as text or as UTF-8. Throws StoreFailedError naming key and revision of what cannot be read. */
  open(key: string, value: Value, revision: number): Value;
  /** Whether `seal` would write the value in the same form, by the same key. */
  isCurrent(key: string, value: Value): boolean;
}

const BRACE = 0x7b;

/** Objects as their JSON, which begins with a brace; everything else is somebody else's form. */
export const plainCodec: ValueCodec = {
  seal: (_key, text) => text,
  isCurrent: () => true,
  open(key, value, revision) {
    if (typeof value === 'string' ? value.startsWith('{') : value[0] === BRACE) return value;
    throw new StoreFailedError(
      `${nameOf(key)} at revision ${revision} is encrypted; start with the --encryption-provider-config it was written with`,
    );
  },
};

/** A key as people write it. */
export const nameOf = (key: string): string => {
  const [resource, namespace, name] = key.split('\0');
  return `${resource} ${namespace ? `${namespace}/` : ''}${name}`;
};
