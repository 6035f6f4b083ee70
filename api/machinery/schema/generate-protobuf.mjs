// From protobuf messages to one line a message: [name, [[number, jsonName, type, flags], ...]].

const scalars = { string: 's', int32: 'i', int64: 'l', bool: 'b', double: 'n', bytes: 'y' };

/** Go types that only rename another package's type, so have no fields of their own to look at. */
const SAME_AS = {
  'k8s.io.api.admissionregistration.v1alpha1.MatchCondition': 'k8s.io.api.admissionregistration.v1.MatchCondition',
};

/** Type codes as in the schema table, with `#n` an index into the lines; flags * pointer, o omitempty, z omitzero, ~ embedded. */
export function messageLines(facts, goFields, qualify) {
  const names = Object.keys(facts.protobuf).sort();
  const indexOf = new Map(names.map((n, i) => [n, i]));
  const code = (message, type) => {
    const map = /^map<string, (.*)>$/.exec(type);
    if (map) return `{${code(message, map[1])}`;
    if (scalars[type]) return scalars[type];
    const i = indexOf.get(qualify(message, type));
    if (i === undefined) throw new Error(`${message}: no message ${type}`);
    return `#${i}`;
  };
  return names.map((name) => {
    const go = goFields[SAME_AS[name] ?? name] ?? {};
    const fields = Object.entries(facts.protobuf[name])
      .sort((a, b) => a[1].n - b[1].n)
      .map(([field, { n, label, type }]) => {
        const [flags, json] = (go[n] ?? `:${field}`).split(/:(.*)/s);
        const row = [n, json, (label === 'repeated' ? '[' : '') + code(name, type)];
        return flags ? [...row, flags] : row;
      });
    return JSON.stringify([name, fields]);
  });
}
