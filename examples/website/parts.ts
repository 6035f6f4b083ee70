import type { Website } from './website.js';

const labelsOf = ({ metadata }: Website) => ({ website: metadata.name! });

/** What a website is made of; names and owners are the controller's. */
export const deploymentFor = (site: Website) => ({
  spec: {
    replicas: site.spec.replicas,
    selector: { matchLabels: labelsOf(site) },
    template: {
      metadata: { labels: labelsOf(site) },
      spec: { containers: [{ name: 'web', image: site.spec.image, ports: [{ containerPort: 80 }] }] },
    },
  },
});

export const serviceFor = (site: Website) => ({
  spec: { selector: labelsOf(site), ports: [{ port: 80, targetPort: 80 }] },
});
