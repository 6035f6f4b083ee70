// Extracts what neither OpenAPI nor the protobuf definitions say: the JSON name of every protobuf field, whether the Go
// field is a pointer (its zero value is meaningful), whether it is left out of JSON when zero, and whether it is embedded.
//
//   node go-fields.mjs API APIMACHINERY APIEXTENSIONS AGGREGATOR > ../generated/go-fields.json
//
// The arguments are checkouts of the kubernetes/api, apimachinery, apiextensions-apiserver and kube-aggregator
// repositories. Output: { message: { number: "flags:jsonName" } } with flags * pointer, o omitempty (which never omits
// a struct), z omitzero (which does), ~ embedded.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const PACKAGES = ['k8s.io.api', 'k8s.io.apimachinery', 'k8s.io.apiextensions_apiserver', 'k8s.io.kube_aggregator'];

const structField =
  /^\t(?:(\w+)[ \t]+)?(\S.*?)[ \t]+`(?:[^`]*?)json:"([^"]*)"(?:[^`]*?)protobuf:"(?:\w+),(\d+),([^"]*)"/;

function goFiles(dir) {
  return readdirSync(dir, { recursive: true })
    .filter((f) => f.endsWith('.go') && !/_test\.go$|generated|zz_|testing\//.test(f))
    .map((f) => join(dir, f));
}

const out = {};
process.argv.slice(2).forEach((root, i) => {
  for (const file of goFiles(root)) {
    const path = relative(root, dirname(file));
    const package_ = `${PACKAGES[i]}.${path.replaceAll('/', '.')}`;
    let message;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const start = /^type (\w+) struct \{/.exec(line);
      if (start) message = `${package_}.${start[1]}`;
      else if (line.startsWith('}')) message = undefined;
      const field = message && structField.exec(line);
      if (!field) continue;
      const [name, ...options] = field[3].split(',');
      const embedded = name === '';
      const pointer = field[2].startsWith('*');
      const omitted = options.includes('omitzero') ? 'z' : options.includes('omitempty') ? 'o' : '';
      const flags = `${pointer ? '*' : ''}${omitted}${embedded ? '~' : ''}`;
      out[message] ??= {};
      out[message][field[4]] = `${flags}:${name}`;
    }
  }
});
const lines = Object.keys(out)
  .sort()
  .map((m) => `${JSON.stringify(m)}:${JSON.stringify(out[m])}`);
process.stdout.write(`{\n${lines.join(',\n')}\n}\n`);
