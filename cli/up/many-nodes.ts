import { setFlagsFromString } from 'node:v8';

/** Nodes from which on there are pods enough for it to matter. */
const MANY = 50;
/** Bytecodes of others that V8 may take into a function it optimizes; its own default is 920. */
const INLINED = 300;

/**
 * Prepares V8 for the pods of many nodes. Nearly all of their code is warm and little of it is hot: of what the first thousands
 * cost, a quarter was V8 optimizing, over again wherever it met another shape of object. With less taken into each function that
 * is a tenth off a pod. Must come before the code has run. A process that has done this keeps nothing compiled for others: V8
 * takes only what was made under the flags it has itself.
 */
export function prepareForNodes(simulated: number): void {
  if (simulated >= MANY) setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED}`);
}
