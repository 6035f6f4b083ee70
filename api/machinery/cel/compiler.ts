import { indexOf, selectOf } from './access.js';
import { callOf, unify } from './calls.js';
import { unescapeField } from './escape.js';
import { BROKEN, type Checked, type Problem, type Scope } from './frame.js';
import { bindingOf, comprehensionOf, type MacroHost } from './macros.js';
import { NAMESPACES } from './overload.js';
import { typeName } from './parser.js';
import type { CallNode, CelNode } from './syntax.js';
import { BOOL, type CelType, DYN, formatType, join, type ObjectType } from './types.js';
import {
  CelCostError,
  CelError,
  CelOptional,
  CelTypeName,
  type CelValue,
  kindOf,
  NativeList,
  NativeMap,
  runeCount,
} from './values.js';

const LIST_COST = 10;
const MAP_COST = 30;
const STRUCT_COST = 40;
const TYPE_NAMES = new Set([
  'bool',
  'bytes',
  'double',
  'int',
  'list',
  'map',
  'null_type',
  'string',
  'type',
  'uint',
  'optional_type',
  'google.protobuf.Timestamp',
  'google.protobuf.Duration',
]);

export type Structs = (name: string) => ObjectType | 'dyn' | undefined;

/** Types, prices and makes runnable, in one walk over the tree. Collects what is wrong instead of stopping at it. */
export class Compiler implements MacroHost {
  readonly problems: Problem[] = [];
  /** The variables of the environment that the expression reads. */
  readonly used = new Set<string>();
  readonly #variables: Readonly<Record<string, CelType>>;
  readonly #structs: Structs;
  #slots = 0;

  constructor(variables: Readonly<Record<string, CelType>>, structs: Structs) {
    this.#variables = variables;
    this.#structs = structs;
  }

  problem(pos: number, message: string): Checked {
    this.problems.push({ pos, message });
    return BROKEN;
  }

  local(name: string, type: CelType, outer: Scope | undefined): Scope {
    return { name, type, slot: this.#slots++, ...(outer ? { outer } : {}) };
  }

  compile(node: CelNode, scope: Scope | undefined): Checked {
    switch (node.kind) {
      case 'literal':
        return literal(node.value);
      case 'ident':
        return this.#ident(node.name, node.pos, scope);
      case 'select':
        return this.#select(node, scope);
      case 'index':
        return this.#index(node, scope);
      case 'call':
        return this.#call(node, scope);
      case 'list':
        return this.#list(node, scope);
      case 'map':
        return this.#map(node, scope);
      case 'struct':
        return this.#struct(node, scope);
    }
  }

  #ident(name: string, pos: number, scope: Scope | undefined): Checked {
    for (let local = scope; local !== undefined; local = local.outer)
      if (local.name === name) {
        const { slot, type } = local;
        return {
          type,
          cost: 1,
          run: (frame) => {
            frame.charge(1);
            return frame.slots[slot]!;
          },
        };
      }
    if (Object.hasOwn(this.#variables, name)) {
      const type = this.#variables[name]!;
      this.used.add(name);
      return {
        type,
        cost: 1,
        run: (frame) => {
          frame.charge(1);
          return frame.variable(name, type);
        },
      };
    }
    if (TYPE_NAMES.has(name)) return typeValue(name);
    return this.problem(pos, `undeclared reference to '${name}' (in container '')`);
  }

  #select(node: CelNode & { kind: 'select' }, scope: Scope | undefined): Checked {
    const name = typeName(node);
    if (name !== undefined && TYPE_NAMES.has(name)) return typeValue(name);
    // A variable's name may have dots: `authorizer.requestResource`.
    if (name !== undefined && Object.hasOwn(this.#variables, name)) return this.#ident(name, node.pos, undefined);
    const operand = this.compile(node.operand, scope);
    if (operand === BROKEN) return BROKEN;
    const access = selectOf(operand, node.field, node.optional);
    return typeof access === 'string' ? this.problem(node.pos, access) : access.checked;
  }

  #index(node: CelNode & { kind: 'index' }, scope: Scope | undefined): Checked {
    const [operand, index] = [this.compile(node.operand, scope), this.compile(node.index, scope)];
    if (operand === BROKEN || index === BROKEN) return BROKEN;
    return (
      indexOf(operand, index, node.optional) ??
      this.problem(node.pos, noOverload(node.optional ? '_[?_]' : '_[_]', [operand, index]))
    );
  }

  #call(node: CallNode, scope: Scope | undefined): Checked {
    const { function: name, target, args, pos } = node;
    if (name === 'has' && target === undefined && args.length === 1) return this.#has(args[0]!, scope);
    const macro = comprehensionOf(this, node, scope) ?? bindingOf(this, node, scope);
    if (macro !== undefined) return macro;
    const space = target?.kind === 'ident' && NAMESPACES.has(target.name) && !this.#isVariable(target.name, scope);
    const given = target !== undefined && !space ? [target, ...args] : args;
    const checked = given.map((arg) => this.compile(arg, scope));
    if (checked.includes(BROKEN)) return BROKEN;
    if (name === '_&&_' || name === '_||_') return this.#logical(node, checked as [Checked, Checked], name === '_||_');
    if (name === '_?_:_') return this.#conditional(node, checked as [Checked, Checked, Checked]);
    if ((name === 'or' || name === 'orValue') && checked.length === 2 && target !== undefined)
      return this.#otherwise(node, checked as [Checked, Checked], name === 'orValue');
    const full = space && target.kind === 'ident' ? `${target.name}.${name}` : name;
    const made = callOf(full, target !== undefined && !space, checked);
    return typeof made === 'string' ? this.problem(pos, made) : made;
  }

  #isVariable(name: string, scope: Scope | undefined): boolean {
    for (let local = scope; local !== undefined; local = local.outer) if (local.name === name) return true;
    return Object.hasOwn(this.#variables, name);
  }

  #has(arg: CelNode, scope: Scope | undefined): Checked {
    if (arg.kind !== 'select' || arg.optional) return this.problem(arg.pos, 'invalid argument to has() macro');
    const operand = this.compile(arg.operand, scope);
    if (operand === BROKEN) return BROKEN;
    const access = selectOf(operand, arg.field, false);
    if (typeof access === 'string') return this.problem(arg.pos, access);
    return { type: BOOL, cost: operand.cost, run: (frame) => access.has(operand.run(frame)) };
  }

  /** An error on one side does not count where the other side decides. */
  #logical(node: CallNode, [left, right]: readonly [Checked, Checked], decisive: boolean): Checked {
    if (![left, right].every(({ type }) => type.kind === 'bool' || type.kind === 'dyn'))
      return this.problem(node.pos, noOverload(node.function, [left, right]));
    const run: Checked['run'] = (frame) => {
      let failure: unknown;
      try {
        const value = left.run(frame);
        if (value === decisive) return decisive;
        if (typeof value !== 'boolean') failure = new CelError('no such overload');
      } catch (error) {
        if (error instanceof CelCostError) throw error;
        failure = error;
      }
      const value = right.run(frame);
      if (value === decisive) return decisive;
      if (failure !== undefined) throw failure;
      if (typeof value !== 'boolean') throw new CelError('no such overload');
      return value;
    };
    return { type: BOOL, cost: left.cost + right.cost, run };
  }

  #conditional(node: CallNode, [test, yes, no]: readonly [Checked, Checked, Checked]): Checked {
    const type = unify(yes, no);
    if (type === undefined || (test.type.kind !== 'bool' && test.type.kind !== 'dyn'))
      return this.problem(node.pos, noOverload('_?_:_', [test, yes, no]));
    return {
      type,
      cost: test.cost + Math.max(yes.cost, no.cost),
      run: (frame) => {
        const value = test.run(frame);
        if (typeof value !== 'boolean') throw new CelError('no such overload');
        return value ? yes.run(frame) : no.run(frame);
      },
    };
  }

  #otherwise(node: CallNode, [left, right]: readonly [Checked, Checked], plain: boolean): Checked {
    const of = left.type.kind === 'optional' ? left.type.of : left.type.kind === 'dyn' ? DYN : undefined;
    const other = plain
      ? right.type
      : right.type.kind === 'optional'
        ? right.type.of
        : right.type.kind === 'dyn'
          ? DYN
          : undefined;
    const type =
      of === undefined || other === undefined ? undefined : unify({ ...left, type: of }, { ...right, type: other });
    if (type === undefined) {
      const applied = `${formatType(left.type)}.(${formatType(right.type)})`;
      return this.problem(node.pos, `found no matching overload for '${node.function}' applied to '${applied}'`);
    }
    return {
      type: plain ? type : { kind: 'optional', of: type },
      cost: left.cost + right.cost + 1,
      run: (frame) => {
        const value = left.run(frame);
        frame.charge(1);
        if (!(value instanceof CelOptional)) throw new CelError('no such overload');
        if (value.value === undefined) return right.run(frame);
        return plain ? value.value : value;
      },
    };
  }

  #list(node: CelNode & { kind: 'list' }, scope: Scope | undefined): Checked {
    const parts = node.elements.map(({ value, optional }) => ({
      optional,
      pos: value.pos,
      checked: this.compile(value, scope),
    }));
    if (parts.some(({ checked }) => checked === BROKEN)) return BROKEN;
    const element = this.#common(parts);
    if (element === undefined) return BROKEN;
    const runs = parts.map(({ checked, optional }) => ({ run: checked.run, optional }));
    return {
      type: { kind: 'list', element, max: parts.length },
      cost: parts.reduce((sum, { checked }) => sum + checked.cost, LIST_COST),
      run: (frame) => {
        const items: CelValue[] = [];
        for (const { run, optional } of runs) {
          const value = optional ? optionalValue(run(frame)) : run(frame);
          if (value !== undefined) items.push(value);
        }
        frame.charge(LIST_COST);
        return new NativeList(items);
      },
    };
  }

  /** The one type all elements of a literal have; elements that differ are a mistake unless one is dynamic. */
  #common(parts: readonly { pos: number; optional?: boolean; checked: Checked }[]): CelType | undefined {
    let type: CelType | undefined;
    for (const { pos, optional, checked } of parts) {
      const own = optional && checked.type.kind === 'optional' ? checked.type.of : checked.type;
      const joined = type === undefined ? own : unify({ ...checked, type }, { ...checked, type: own });
      if (joined === undefined) {
        this.problem(pos, `expected type '${formatType(type!)}' but found '${formatType(own)}'`);
        return undefined;
      }
      type = type === undefined ? own : join(type, joined);
    }
    return type ?? { kind: 'param', name: 'T' };
  }

  #map(node: CelNode & { kind: 'map' }, scope: Scope | undefined): Checked {
    const parts = node.entries.map(({ key, value, optional }) => ({
      optional,
      key: { pos: key.pos, checked: this.compile(key, scope) },
      value: { pos: value.pos, optional, checked: this.compile(value, scope) },
    }));
    if (parts.some(({ key, value }) => key.checked === BROKEN || value.checked === BROKEN)) return BROKEN;
    const key = this.#common(parts.map((part) => part.key));
    const value = this.#common(parts.map((part) => part.value));
    if (key === undefined || value === undefined) return BROKEN;
    return {
      type: { kind: 'map', key, value, max: parts.length },
      cost: parts.reduce((sum, part) => sum + part.key.checked.cost + part.value.checked.cost, MAP_COST),
      run: (frame) => {
        const entries: [CelValue, CelValue][] = [];
        for (const part of parts) {
          const name = part.key.checked.run(frame);
          const raw = part.value.checked.run(frame);
          const made = part.optional ? optionalValue(raw) : raw;
          if (made !== undefined) entries.push([name, made]);
        }
        frame.charge(MAP_COST);
        return new NativeMap(entries);
      },
    };
  }

  #struct(node: CelNode & { kind: 'struct' }, scope: Scope | undefined): Checked {
    const known = this.#structs(node.type);
    if (known === undefined) return this.problem(node.pos, `undeclared reference to '${node.type}' (in container '')`);
    const fields = node.fields.map(({ name, pos, value, optional }) => {
      const checked = this.compile(value, scope);
      const field = known === 'dyn' ? undefined : known.fields.get(name);
      if (known !== 'dyn' && field === undefined) this.problem(pos, `undefined field '${name}'`);
      return { name: unescapeField(name) ?? name, checked, optional };
    });
    const type: ObjectType = known === 'dyn' ? { kind: 'object', name: node.type, fields: new Map() } : known;
    return {
      type,
      cost: fields.reduce((sum, { checked }) => sum + checked.cost, STRUCT_COST),
      run: (frame) => {
        const entries: [CelValue, CelValue][] = [];
        for (const { name, checked, optional } of fields) {
          const raw = checked.run(frame);
          const value = optional ? optionalValue(raw) : raw;
          if (value !== undefined) entries.push([name, value]);
        }
        frame.charge(STRUCT_COST);
        return new NativeMap(entries, node.type);
      },
    };
  }
}

function optionalValue(value: CelValue): CelValue | undefined {
  if (value instanceof CelOptional) return value.value;
  throw new CelError(`cannot initialize optional entry from non-optional value ${kindOf(value)}`);
}

const noOverload = (name: string, args: readonly Checked[]): string =>
  `found no matching overload for '${name}' applied to '(${args.map((arg) => formatType(arg.type)).join(', ')})'`;

const typeValue = (name: string): Checked => ({ type: { kind: 'type' }, cost: 1, run: () => new CelTypeName(name) });

function literal(value: CelValue): Checked {
  const kind = kindOf(value);
  const type = (
    kind === 'string' || kind === 'bytes'
      ? { kind, max: typeof value === 'string' ? runeCount(value) : (value as Uint8Array).length }
      : { kind }
  ) as CelType;
  return { type, cost: 0, run: () => value };
}
