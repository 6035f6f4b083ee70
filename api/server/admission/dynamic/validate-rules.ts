import { causes, type NamedRuleWithOperations } from '@trimtab/machinery';
import { type Causes, optionalOneOf } from '../../registry/strategies/checks.js';

/** What a rule of a webhook or policy may say (kubernetes: admissionregistration/validation validateRuleWithOperations). */
export function validateRule(rule: NamedRuleWithOperations, at: string, subresources: boolean, out: Causes): void {
  operations(rule.operations ?? [], `${at}.operations`, out);
  listOf(rule.apiGroups ?? [], `${at}.apiGroups`, out, "if '*' is present, must not specify other API groups", true);
  listOf(rule.apiVersions ?? [], `${at}.apiVersions`, out, "if '*' is present, must not specify other API versions");
  resources(rule.resources ?? [], `${at}.resources`, subresources, out);
  optionalOneOf(rule.scope, ['*', 'Cluster', 'Namespaced'], `${at}.scope`, out);
  if (rule.resourceNames) {
    const seen = new Set<string>();
    for (const [i, name] of rule.resourceNames.entries()) {
      if (seen.has(name)) out.push(causes.duplicate(`${at}.resourceNames[${i}]`, name));
      seen.add(name);
    }
  }
}

function operations(given: readonly string[], at: string, out: Causes): void {
  if (given.length === 0) out.push(causes.required(at));
  if (given.includes('*') && given.length > 1)
    out.push(causes.invalid(at, given, "if '*' is present, must not specify other operations"));
  for (const [i, operation] of given.entries())
    optionalOneOf(operation, ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'], `${at}[${i}]`, out);
}

function listOf(given: readonly string[], at: string, out: Causes, alone: string, emptyAllowed = false): void {
  if (given.length === 0) out.push(causes.required(at));
  if (given.includes('*') && given.length > 1) out.push(causes.invalid(at, given, alone));
  if (emptyAllowed) return;
  for (const [i, value] of given.entries()) if (value === '') out.push(causes.required(`${at}[${i}]`));
}

function resources(given: readonly string[], at: string, subresources: boolean, out: Causes): void {
  if (given.length === 0) out.push(causes.required(at));
  const wildSub = new Set<string>();
  const wildMain = new Set<string>();
  let hasEverything = false;
  let hasBareStar = false;
  for (const [i, text] of given.entries()) {
    if (text === '') out.push(causes.required(`${at}[${i}]`));
    if (text === '*/*') hasEverything = true;
    if (text === '*') hasBareStar = true;
    const slash = text.indexOf('/');
    if (slash < 0) continue;
    const [main, sub] = [text.slice(0, slash), text.slice(slash + 1)];
    const invalid = (why: string) => out.push(causes.invalid(`${at}[${i}]`, text, why));
    if (wildSub.has(main)) invalid(`if '${main}/*' is present, must not specify ${text}`);
    if (wildMain.has(sub)) invalid(`if '*/${sub}' is present, must not specify ${text}`);
    if (sub === '*') wildSub.add(main);
    if (main === '*') wildMain.add(sub);
  }
  if (given.length > 1 && hasEverything)
    out.push(causes.invalid(at, given, "if '*/*' is present, must not specify other resources"));
  else if (
    given.length > 1 &&
    hasBareStar &&
    (!subresources || given.some((text) => text !== '*' && !text.includes('/')))
  )
    out.push(causes.invalid(at, given, "if '*' is present, must not specify other resources without subresources"));
  if (!subresources)
    for (const [i, text] of given.entries())
      if (text.includes('/')) out.push(causes.invalid(`${at}[${i}]`, text, 'must not specify subresources'));
}
