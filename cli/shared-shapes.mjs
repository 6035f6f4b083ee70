/**
 * Node 20's V8 gives the result of `{ ...a, b }` a hidden class of its own each time it adds a property to what was spread:
 * making one takes microseconds, reading many of them never gets fast, and the classes fill the heap. Objects made by
 * `Object.assign` share their classes. So the build has esbuild spell spreads as calls of helpers, and this makes the
 * helpers assign.
 *
 * `Object.assign` differs from spreading in two ways, and both are minded: it would set the prototype where an own property is
 * called `__proto__`, and it would read accessors of a literal instead of taking them over.
 *
 * @param {string} bundle as esbuild prints it with `supported: { 'object-rest-spread': false }` and `minifyWhitespace`
 * @returns {string} with as many lines
 */
export function sharedShapes(bundle) {
  let result = bundle;
  for (const at of accessorSpreads(bundle).sort((a, b) => b - a))
    result = `${result.slice(0, at)}${result.slice(at).replace('__spread', '__exactly')}`;
  for (const name of ['Values', 'Props']) {
    const helper = `var __spread${name}=`;
    if (result.split(helper).length !== 2) throw new Error(`esbuild's helper __spread${name} does not look as it did`);
    result = result.replace(helper, `var __spread${name}=${ASSIGN};var __exactly${name}=`);
  }
  // Nothing is added to what is spread here: a plain copy is quickest as it was.
  return result.replace(COPY, '({...$1})');
}

const ASSIGN =
  '(a,b)=>b!=null&&Object.prototype.hasOwnProperty.call(b,"__proto__")?__exactlyValues(a,b):Object.assign(a,b)';

const COPY = /(?<!__(?:spread|exactly)(?:Props|Values)\()(?<![\w$.])__spreadValues\(\{\},([\w$]+(?:\.[\w$]+)*)\)/g;

/** Where helpers are called with a literal that has accessors. */
function accessorSpreads(text) {
  const found = new Set();
  for (const { index } of text.matchAll(/[{,](?:get|set) [\w$]+\(/g)) {
    const literal = text[index] === '{' ? index : openBefore(text, index);
    const call = text[literal - 1] === ',' ? openBefore(text, literal - 1) : literal - 1;
    const name = /__spread(?:Props|Values)$/.exec(text.slice(Math.max(0, call - 20), call));
    if (text[literal] === '{' && text[call] === '(' && name) found.add(call - name[0].length);
  }
  return [...found];
}

/** The bracket that is open at a place. */
function openBefore(text, from) {
  let depth = 0;
  for (let at = from - 1; at > 0; at--) {
    if ('}])'.includes(text[at])) depth++;
    else if ('{[('.includes(text[at]) && depth-- === 0) return at;
  }
  return 0;
}
