import type { Checked } from './frame.js';
import { fromJson, JsonMap } from './json.js';
import { type CelType, DYN, maxSize, type ObjectField } from './types.js';
import { CelError, CelList, CelMap, CelOptional, CelUint, type CelValue, kindOf, textOf } from './values.js';

/** The parts of objects, maps, lists and optional values. */
export interface Access {
  readonly checked: Checked;
  /** Whether the part is there; an error where the whole is not. */
  readonly has: (whole: CelValue) => boolean;
}

/** `operand.field`; a text where the operand's type has no such field. */
export function selectOf(operand: Checked, field: string, optional: boolean): Access | string {
  const inner = operand.type.kind === 'optional' ? operand.type.of : operand.type;
  let known: ObjectField | undefined;
  let type: CelType = DYN;
  switch (inner.kind) {
    case 'object':
      known = inner.fields.get(field);
      if (known === undefined) return `undefined field '${field}'`;
      type = known.type;
      break;
    case 'map':
      type = inner.value;
      break;
    case 'dyn':
    case 'param':
      break;
    default:
      return `type '${inner.kind === 'opaque' ? inner.name : inner.kind}' does not support field selection`;
  }
  const read = readerOf(field, known);
  const { run } = operand;
  const soft = optional || operand.type.kind === 'optional';
  const cost = operand.cost + 1;
  const has = (whole: CelValue): boolean => {
    const value = whole instanceof CelOptional ? whole.value : whole;
    return value !== undefined && read(value) !== undefined;
  };
  if (soft)
    return {
      has,
      checked: {
        type: { kind: 'optional', of: type },
        cost,
        run: (frame) => {
          const whole = run(frame);
          frame.charge(1);
          return optionalPart(whole, read);
        },
      },
    };
  return {
    has,
    checked: {
      type,
      cost,
      ...(known?.nullable ? { nullable: true } : {}),
      run: (frame) => {
        const whole = run(frame);
        frame.charge(1);
        // What is dynamic may turn out to be optional.
        if (whole instanceof CelOptional) return optionalPart(whole, read);
        return present(read(whole), whole, field);
      },
    },
  };
}

/** `null` is a value; only what is undefined is missing. */
function present(part: CelValue | undefined, whole: CelValue, at: CelValue): CelValue {
  if (part !== undefined) return part;
  throw new CelError(whole instanceof CelList ? `index out of bounds: ${textOf(at)}` : `no such key: ${textOf(at)}`);
}

function optionalPart(whole: CelValue, read: (whole: CelValue) => CelValue | undefined): CelValue {
  const value = whole instanceof CelOptional ? whole.value : whole;
  if (value === undefined) return CelOptional.none;
  const part = read(value);
  return part === undefined ? CelOptional.none : new CelOptional(part);
}

function readerOf(field: string, known: ObjectField | undefined): (whole: CelValue) => CelValue | undefined {
  if (known === undefined)
    return (whole) => {
      if (whole instanceof CelMap) return whole.get(field);
      throw new CelError(`no such overload`);
    };
  const { json, type } = known;
  return (whole) => {
    if (whole instanceof JsonMap) {
      const raw = Object.hasOwn(whole.raw, json) ? whole.raw[json] : undefined;
      return raw === undefined ? undefined : fromJson(raw, type);
    }
    if (whole instanceof CelMap) return whole.get(field);
    throw new CelError('no such overload');
  };
}

/** `operand[index]` and `operand[?index]`; undefined where the types do not go together. */
export function indexOf(operand: Checked, index: Checked, optional: boolean): Checked | undefined {
  const inner = operand.type.kind === 'optional' ? operand.type.of : operand.type;
  const key = index.type.kind;
  let type: CelType = DYN;
  if (inner.kind === 'list') {
    if (key !== 'int' && key !== 'dyn') return undefined;
    type = inner.element;
  } else if (inner.kind === 'map') {
    if (key !== 'dyn' && inner.key.kind !== 'dyn' && inner.key.kind !== 'param' && key !== inner.key.kind)
      return undefined;
    type = inner.value;
  } else if (inner.kind !== 'dyn' && inner.kind !== 'param') return undefined;
  const soft = optional || operand.type.kind === 'optional';
  return {
    type: soft ? { kind: 'optional', of: type } : type,
    cost: operand.cost + index.cost + 1,
    run: (frame) => {
      const whole = operand.run(frame);
      const at = index.run(frame);
      frame.charge(1);
      if (soft || whole instanceof CelOptional) return optionalPart(whole, (value) => elementOf(value, at));
      return present(elementOf(whole, at), whole, at);
    },
  };
}

function elementOf(whole: CelValue, at: CelValue): CelValue | undefined {
  if (whole instanceof CelMap) return whole.get(at);
  if (!(whole instanceof CelList)) throw new CelError('no such overload');
  const plain = at instanceof CelUint ? at.value : at;
  if (typeof plain !== 'bigint' && !(typeof plain === 'number' && Number.isInteger(plain)))
    throw new CelError(`unsupported index type '${kindOf(at)}' in list`);
  const position = Number(plain);
  return position >= 0 && position < whole.size ? whole.at(position) : undefined;
}

/** How often a macro over a value runs at worst. */
export const rounds = (range: Checked): number => maxSize(range.type);
