/** What a website is made of; names, owners and selectors are the controller's. */
export const deploymentFor = ({ image, replicas }: { readonly image: string; readonly replicas: number }) => ({
  spec: {
    replicas,
    selector: { matchLabels: { app: 'website' } },
    template: {
      metadata: { labels: { app: 'website' } },
      spec: { containers: [{ name: 'web', image, ports: [{ containerPort: 80 }] }] },
    },
  },
});

export const serviceFor = () => ({
  spec: { selector: { app: 'website' }, ports: [{ port: 80, targetPort: 80 }] },
});
