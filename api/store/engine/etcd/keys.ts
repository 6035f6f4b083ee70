/**
 * Where things lie in etcd. Under a prefix, by default `/trimtab`, an object is at
 *
 *     <prefix>/<group>/<resource>/<namespace>/<name>        /trimtab/apps/deployments/default/web
 *
 * with nothing where the core group's name and a namespace are empty (`/trimtab//pods/default/web`, `/trimtab//nodes//node-1`); its
 * value is JSON, or what encryption made of it, without `metadata.resourceVersion`: that is the key's mod revision. Beside them:
 *
 *     <prefix>/.tip               put by every transaction: its time and who made it. Its mod revision is the newest of all
 *                                 transactions, so reading it is enough to know how far a picture must be to be the newest.
 *     <prefix>/.session/<id>      of one process, on a lease. Every transaction compares its mod revision, so putting it anew
 *                                 makes an earlier transaction whose answer was lost happen before, or never.
 *     <prefix>/.compacted         the last compaction; who changes it first compacts.
 */
export interface Keys {
  readonly from: Buffer;
  readonly to: Buffer;
  readonly tip: Buffer;
  readonly compacted: Buffer;
  session(id: string): Buffer;
  /** Throws RangeError for a key that would not be found again. */
  write(key: string): Buffer;
  /** The store's key; undefined for those of the engine itself. */
  read(bytes: Uint8Array): string | undefined;
  isTip(bytes: Uint8Array): boolean;
}

const DOT = 0x2e;

export function keysUnder(prefix: string): Keys {
  const root = `/${prefix.replace(/^\/+|\/+$/g, '')}/`.replace(/^\/\/$/, '/');
  const from = Buffer.from(root);
  const to = Buffer.from(root);
  to[to.length - 1]!++;
  const tip = Buffer.from(`${root}.tip`);
  return {
    from,
    to,
    tip,
    compacted: Buffer.from(`${root}.compacted`),
    session: (id) => Buffer.from(`${root}.session/${id}`),
    write(key) {
      const [resource = '', ...place] = key.split('\0');
      const slashes = resource.split('/').length - 1;
      const plain = place.every((part) => !part.includes('/')) && !key.startsWith('.');
      if (!plain || !((slashes === 1 && place.length === 2) || (slashes === 0 && place.length === 0)))
        throw new RangeError(`${JSON.stringify(key)} is not the place of an object`);
      return Buffer.from(root + key.replaceAll('\0', '/'));
    },
    read(bytes) {
      if (bytes[from.length] === DOT) return undefined;
      const parts = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
        .toString('utf8', from.length)
        .split('/');
      return parts.length === 4 ? `${parts[0]}/${parts[1]}\0${parts[2]}\0${parts[3]}` : parts.join('/');
    },
    isTip: (bytes) => tip.equals(bytes),
  };
}
