/** Tests stand beside the code and run from the TypeScript sources; no build is needed. */
const floor = {
  machinery: 'api',
  store: 'api',
  client: 'api',
  server: 'api',
  framework: 'controllers',
  testing: 'controllers',
};

export default {
  testEnvironment: 'node',
  roots: ['api', 'crd', 'controllers', 'kubelet-lite', 'net-plugin', 'charts', 'cli', 'examples', 'test'].map(
    (d) => `<rootDir>/${d}`,
  ),
  // Generous, because a busy machine is no failure: what may take how long is measured in bench/.
  testTimeout: 300_000,
  // Modules of finished files are not given back; above this a worker is replaced, or it spends its time collecting garbage.
  workerIdleMemoryLimit: '600MB',
  testMatch: ['**/*.test.ts'],
  globalSetup: '<rootDir>/test/shared.mjs',
  globalTeardown: '<rootDir>/test/shared-end.mjs',
  testSequencer: '<rootDir>/test/sequencer.mjs',
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['/dist/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript', decorators: true }, target: 'es2022' },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: {
    ...Object.fromEntries(
      Object.entries(floor).map(([name, dir]) => [`^@trimtab/${name}$`, `<rootDir>/${dir}/${name}/index.ts`]),
    ),
    '^@trimtab/([a-z-]+)$': '<rootDir>/$1/index.ts',
    '^fast-check$': '<rootDir>/test/fast-check.mjs',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
};
