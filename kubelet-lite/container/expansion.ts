/**
 * `$(NAME)` references as Kubernetes expands them in command, args, env values and subPathExpr: `$$` is a literal dollar, and a
 * reference to something undefined stays as written.
 */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  return text.replaceAll(/\$(\$|\(([^()]*)\))/g, (whole, after: string, name: string | undefined) => {
    if (after === '$') return '$';
    return lookup(name ?? '') ?? whole;
  });
}

/** The names a text refers to that are not defined. */
export function undefinedReferences(text: string, lookup: (name: string) => string | undefined): readonly string[] {
  const missing: string[] = [];
  expand(text, (name) => {
    const value = lookup(name);
    if (value === undefined) missing.push(name);
    return value;
  });
  return missing;
}
