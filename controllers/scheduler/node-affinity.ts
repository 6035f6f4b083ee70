export { matchesNodeAffinity, matchesNodeSelector, preferredNodeAffinity } from '@trimtab/machinery';
