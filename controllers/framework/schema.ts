import type { JSONSchemaProps } from '@trimtab/machinery';

/** One field's shape: the type for the compiler, the OpenAPI schema for the server, the validator and the generator. */
export interface Shape<T> {
  readonly props: JSONSchemaProps;
  /** May be left out. */
  readonly optional: boolean;
  /** Never there; carries the type. */
  readonly type?: T;
}

export type TypeOf<S> = S extends Shape<infer T> ? T : never;

export interface Optional<T> extends Shape<T> {
  readonly optional: true;
}

export type Fields = Readonly<Record<string, Shape<unknown>>>;
export type OptionalKeys<F extends Fields> = { [K in keyof F]: F[K] extends Optional<unknown> ? K : never }[keyof F];
export type FieldsOf<F extends Fields> = {
  readonly [K in Exclude<keyof F, OptionalKeys<F>>]: TypeOf<F[K]>;
} & { readonly [K in OptionalKeys<F>]?: TypeOf<F[K]> };

interface Common {
  readonly description?: string;
  /** Rules in CEL (`x-kubernetes-validations`), checked by the server. */
  readonly rules?: readonly { readonly rule: string; readonly message: string }[];
}

const shape = <T>({ rules, ...props }: Common & Omit<JSONSchemaProps, 'description'>): Shape<T> => ({
  props: { ...props, ...(rules ? { 'x-kubernetes-validations': [...rules] } : {}) } as JSONSchemaProps,
  optional: false,
});

type StringOptions = Common & Pick<JSONSchemaProps, 'pattern' | 'minLength' | 'maxLength' | 'format'>;
type NumberOptions = Common & Pick<JSONSchemaProps, 'minimum' | 'maximum' | 'multipleOf'>;

/** The shapes a declaration is made of. Everything is required unless it says otherwise. */
export const s = {
  string: (options: StringOptions = {}): Shape<string> => shape({ type: 'string', ...options }),
  integer: (options: NumberOptions = {}): Shape<number> => shape({ type: 'integer', ...options }),
  number: (options: NumberOptions = {}): Shape<number> => shape({ type: 'number', ...options }),
  boolean: (options: Common = {}): Shape<boolean> => shape({ type: 'boolean', ...options }),
  oneOf: <const V extends string>(values: readonly V[], options: Common = {}): Shape<V> =>
    shape({ type: 'string', enum: [...values], ...options }),
  list: <T>(
    items: Shape<T>,
    options: Common & Pick<JSONSchemaProps, 'minItems' | 'maxItems'> = {},
  ): Shape<readonly T[]> => shape({ type: 'array', items: items.props, ...options }),
  map: <T>(values: Shape<T>, options: Common = {}): Shape<Readonly<Record<string, T>>> =>
    shape({ type: 'object', additionalProperties: values.props, ...options }),
  object: <F extends Fields>(fields: F, options: Common = {}): Shape<FieldsOf<F>> => {
    const required = Object.keys(fields).filter(
      (name) => !fields[name]!.optional && fields[name]!.props.default === undefined,
    );
    const properties = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.props]));
    return shape({ type: 'object', properties, ...(required.length > 0 ? { required } : {}), ...options });
  },
  /** Any JSON; the server keeps it as it is. */
  anything: <T = unknown>(options: Common = {}): Shape<T> =>
    shape({ 'x-kubernetes-preserve-unknown-fields': true, type: 'object', ...options }),
  optional: <T>(of: Shape<T>): Optional<T> => ({ props: of.props, optional: true }),
  /** Filled in by the server when it is left out, so not required of those who write; those who read always find it. */
  defaulted: <T>(of: Shape<T>, value: T): Shape<T> => ({
    props: { ...of.props, default: value } as JSONSchemaProps,
    optional: false,
  }),
  conditions: (): Optional<readonly ConditionShape[]> => ({
    optional: true,
    props: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: s.object({
        type: s.string(),
        status: s.oneOf(['True', 'False', 'Unknown']),
        reason: s.optional(s.string()),
        message: s.optional(s.string()),
        lastTransitionTime: s.optional(s.string({ format: 'date-time' })),
        observedGeneration: s.optional(s.integer()),
      }).props,
    } as JSONSchemaProps,
  }),
};

export interface ConditionShape {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
  readonly observedGeneration?: number;
}
