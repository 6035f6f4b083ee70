/** The very same object, except for these methods: for those who stand before an interface and leave most of it alone. */
export function withMethods<T extends object>(target: T, methods: Partial<T>): T {
  const bound = new Map<PropertyKey, unknown>();
  return new Proxy(target, {
    get(of, key) {
      if (Object.hasOwn(methods, key)) return methods[key as keyof T];
      const value: unknown = Reflect.get(of, key, of);
      if (typeof value !== 'function') return value;
      let method = bound.get(key);
      if (!method) {
        method = value.bind(of);
        bound.set(key, method);
      }
      return method;
    },
  });
}
