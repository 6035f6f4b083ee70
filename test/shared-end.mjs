/** The end of what `shared.mjs` began. */
export default function teardown() {
  globalThis.removeShared();
}
