/** What `/version` answers. Clients read `major` and `minor` as plain integers. */
export const versionInfo = {
  major: '1',
  minor: '33',
  gitVersion: 'v1.33.0+trimtab',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'none',
  platform: 'linux/amd64',
} as const;
