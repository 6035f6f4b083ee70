import { type Definition, type Overload, overloadOf } from '../overload.js';
import { authorizer } from './authorizer.js';
import { formats } from './formats.js';
import { lists, sets } from './lists.js';
import { math } from './math.js';
import { networks } from './networks.js';
import { optionals } from './optionals.js';
import { quantities } from './quantities.js';
import { regex } from './regex.js';
import { semver } from './semver.js';
import { standard } from './standard.js';
import { strings } from './strings.js';
import { urls } from './urls.js';

const LIBRARIES: readonly (readonly Definition[])[] = [
  standard,
  strings,
  lists,
  sets,
  regex,
  optionals,
  math,
  urls,
  quantities,
  networks,
  formats,
  semver,
  authorizer,
];

let table: Map<string, Overload[]> | undefined;

/** All signatures of a function, by the name calls use: `_+_`, `startsWith`, `sets.contains`. */
export function overloadsOf(name: string): readonly Overload[] {
  table ??= tableOf();
  return table.get(name) ?? [];
}

/** Made at first use: programs without expressions never pay for it. */
function tableOf(): Map<string, Overload[]> {
  const made = new Map<string, Overload[]>();
  for (const library of LIBRARIES)
    for (const definition of library) {
      const overload = overloadOf(definition);
      const others = made.get(overload.name);
      if (others === undefined) made.set(overload.name, [overload]);
      else others.push(overload);
    }
  return made;
}
