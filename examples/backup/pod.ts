/** The pod that does the work; it is tried once, and again by another pod. */
export const podFor = ({ image, source }: { readonly image: string; readonly source: string }) => ({
  spec: {
    restartPolicy: 'Never' as const,
    containers: [{ name: 'backup', image, args: [source] }],
  },
});
