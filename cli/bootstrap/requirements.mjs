/**
 * What a machine needs beside Node, as data: for `npm start`, `npm test` and `trimtab doctor`. Plain JavaScript without
 * dependencies, because it runs before anything is installed.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export const NODE = [20, 19];

/** `for` says which use needs it: build (native core), run (pods), guestbook, test. */
export const packages = [
  {
    package: 'gcc',
    for: 'build',
    why: 'compiles the native isolation core',
    present: () => command('cc') || command('gcc'),
  },
  { package: 'make', for: 'build', why: 'builds the native isolation core', present: () => command('make') },
  {
    package: 'libc6-dev',
    for: 'build',
    why: 'C library and kernel headers for the native core',
    present: () => existsSync('/usr/include/stdio.h') && existsSync('/usr/include/linux/netlink.h'),
  },
  {
    package: 'redis-tools',
    for: 'guestbook',
    why: "redis for the guestbook's images (the package starts no server)",
    present: () => existsSync('/usr/bin/redis-check-rdb') && command('redis-cli'),
  },
  {
    package: 'busybox-static',
    for: 'guestbook',
    why: "a shell in the guestbook's images",
    present: () => existsSync('/bin/busybox'),
  },
  {
    package: 'iproute2',
    for: 'test',
    why: 'network namespaces for the end-to-end tests',
    present: () => command('ip'),
  },
  {
    package: 'kubernetes-client',
    for: 'test',
    why: 'kubectl for the end-to-end tests',
    present: () => command('kubectl'),
  },
  { package: 'curl', for: 'test', why: 'an HTTP client for the end-to-end tests', present: () => command('curl') },
];

/** The packages these uses need that are not there. */
export const missing = (...uses) => packages.filter((p) => uses.includes(p.for) && !p.present());

export const isRoot = () => process.getuid?.() === 0;

export const nodeIsTooOld = () => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major < NODE[0] || (major === NODE[0] && minor < NODE[1]);
};

export const installCommand = (list) =>
  `apt-get install -y --no-install-recommends ${list.map((p) => p.package).join(' ')}`;

export function command(name) {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Runs a command with its output shown; true when it succeeded. */
export const run = (name, args, options = {}) => spawnSync(name, args, { stdio: 'inherit', ...options }).status === 0;
