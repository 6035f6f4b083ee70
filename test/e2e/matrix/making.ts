import type { Cell } from './cell.js';

/** All that `kubectl create` and `kubectl run` make. */
export const MAKING: readonly Cell[] = [
  {
    command: 'create deployment web --image=example.com/app:1 --replicas=2 --port=8080',
    out: 'deployment.apps/web created',
  },
  {
    command: 'create deployment web --image=example.com/app:1',
    code: 1,
    err: 'error: failed to create deployment: deployments.apps "web" already exists',
  },
  {
    command: 'create deployment dry --image=i --dry-run=client -o yaml',
    out: /^apiVersion: apps\/v1\nkind: Deployment/,
  },
  { command: 'create deployment dry --image=i --dry-run=server', out: 'deployment.apps/dry created (server dry run)' },
  { command: 'get deployment dry', code: 1, err: 'Error from server (NotFound): deployments.apps "dry" not found' },
  { command: 'rollout status deployment/web --timeout=120s', out: /deployment "web" successfully rolled out\n$/ },
  {
    command: 'create configmap settings --from-literal=colour=blue --from-literal=size=3',
    out: 'configmap/settings created',
  },
  { command: 'create configmap files --from-file=$DIR/lines.txt', out: 'configmap/files created' },
  { command: 'get configmap files -o jsonpath={.data.lines\\.txt}', out: 'first line\nsecond line' },
  { command: 'create configmap environment --from-env-file=$DIR/variables.env', out: 'configmap/environment created' },
  {
    command: 'create configmap Wrong_Name --from-literal=a=b',
    code: 1,
    err: /ConfigMap "Wrong_Name" is invalid: metadata\.name: Invalid value: "Wrong_Name": a lowercase RFC 1123 subdomain must consist of/,
  },
  { command: 'create secret generic keys --from-literal=token=s3cret', out: 'secret/keys created' },
  { command: 'get secret keys -o jsonpath={.data.token}', out: 'czNjcmV0' },
  {
    command: 'create secret tls certificate --cert=$DIR/tls.crt --key=$DIR/tls.key',
    out: 'secret/certificate created',
  },
  {
    command: 'create secret docker-registry pull --docker-server=r.example --docker-username=u --docker-password=p',
    out: 'secret/pull created',
  },
  {
    command: 'get secrets',
    out: [
      /^certificate\s+kubernetes\.io\/tls\s+2/m,
      /^pull\s+kubernetes\.io\/dockerconfigjson\s+1/m,
      /^keys\s+Opaque\s+1/m,
    ],
  },
  { command: 'create service clusterip inside --tcp=80:8080', out: 'service/inside created' },
  { command: 'create service nodeport outside --tcp=80', out: 'service/outside created' },
  { command: 'create service loadbalancer balanced --tcp=80', out: 'service/balanced created' },
  { command: 'create service externalname elsewhere --external-name=a.example', out: 'service/elsewhere created' },
  { command: 'create job once --image=example.com/app:1 -- sh -c true', out: 'job.batch/once created' },
  {
    command: "create cronjob daily --image=example.com/app:1 '--schedule=0 3 * * *' -- sh -c true",
    out: 'cronjob.batch/daily created',
  },
  { command: 'create job by-hand --from=cronjob/daily', out: 'job.batch/by-hand created' },
  {
    command: "create cronjob wrong --image=i '--schedule=sometimes'",
    code: 1,
    err: /spec\.schedule: Invalid value: "sometimes"/,
  },
  { command: 'create quota few --hard=configmaps=50,pods=100', out: 'resourcequota/few created' },
  { command: 'get quota', out: /^few\s+.*configmaps: \d+\/50/m, eventually: true },
  {
    command: 'create role reader --verb=get,list --resource=pods',
    out: 'role.rbac.authorization.k8s.io/reader created',
  },
  { command: 'create serviceaccount robot', out: 'serviceaccount/robot created' },
  {
    command: 'create rolebinding robot-reads --role=reader --serviceaccount=$NS:robot',
    out: 'rolebinding.rbac.authorization.k8s.io/robot-reads created',
  },
  { command: 'auth can-i list pods --as=system:serviceaccount:$NS:robot', out: 'yes', eventually: true },
  { command: 'auth can-i delete pods --as=system:serviceaccount:$NS:robot', code: 1, out: /^no( - .*)?$/m },
  { command: 'auth can-i --list --as=system:serviceaccount:$NS:robot', out: /^pods\s+\[\]\s+\[\]\s+\[get list\]$/m },
  {
    command: 'create clusterrole reads-$NS --verb=get --resource=nodes',
    out: 'clusterrole.rbac.authorization.k8s.io/reads-$NS created',
  },
  {
    command: 'create clusterrolebinding reads-$NS --clusterrole=reads-$NS --user=jane',
    out: 'clusterrolebinding.rbac.authorization.k8s.io/reads-$NS created',
  },
  { command: 'create token robot --duration=10m', out: /^ey[\w-]+\.[\w-]+\.[\w-]+\s*$/ },
  { command: 'create token nobody', code: 1, err: 'error: failed to create token: serviceaccounts "nobody" not found' },
  { command: 'create ingress in --rule=a.example/=inside:80', out: 'ingress.networking.k8s.io/in created' },
  {
    command: 'get ingress',
    out: [/^NAME\s+CLASS\s+HOSTS\s+ADDRESS\s+PORTS\s+AGE$/m, /^in\s+<none>\s+a\.example\s+80/m],
  },
  {
    command: 'create poddisruptionbudget some --selector=app=budgeted --min-available=1',
    out: 'poddisruptionbudget.policy/some created',
  },
  {
    command: 'create priorityclass high-$NS --value=1000 --description=high',
    out: 'priorityclass.scheduling.k8s.io/high-$NS created',
  },
  { command: 'create namespace $NS-more', out: 'namespace/$NS-more created' },
  {
    command: 'create namespace $NS-more',
    code: 1,
    err: 'Error from server (AlreadyExists): namespaces "$NS-more" already exists',
  },
  {
    command: 'run lone-run --image=example.com/app:1 --labels=app=run --env=A=b --port=80',
    out: 'pod/lone-run created',
  },
  { command: 'run shown --image=i --dry-run=client -o name', out: 'pod/shown' },
  { command: 'wait pod/lone-run --for=condition=Ready --timeout=120s', out: 'pod/lone-run condition met' },
  { command: 'create -f $DIR/one.yaml', out: 'configmap/one created' },
  {
    command: 'create -f $DIR/one.yaml',
    code: 1,
    err: /^Error from server \(AlreadyExists\): error when creating ".*one\.yaml": configmaps "one" already exists$/m,
  },
  { command: 'create -f $DIR/typo.yaml', code: 1, err: /unknown field "dta"/ },
  {
    command: 'create -f $DIR/typo.yaml --validate=warn',
    out: 'configmap/typo created',
    err: /Warning: unknown field "dta"/,
  },
  {
    command: 'create -f $DIR/invalid.yaml',
    code: 1,
    err: /The Pod "invalid" is invalid:\s*\n\* spec\.containers\[0\]\.name: Invalid value: "Main": [\s\S]*\n\* spec\.containers\[0\]\.image: Required value/,
  },
  {
    command: 'create -f $DIR/app.yaml',
    out: [/^service\/set created$/m, /^statefulset\.apps\/set created$/m, /^daemonset\.apps\/everywhere created$/m],
  },
  { command: 'create -f $DIR/cluster.yaml --save-config', out: /^persistentvolume\/volume-\S+ created\nstorageclass/ },
  { command: 'create -f $DIR/missing.yaml', code: 1, err: /the path "\S+missing\.yaml" does not exist/ },
];

/** What the files made. */
export const MADE: readonly Cell[] = [
  {
    command: 'rollout status statefulset/set --timeout=120s',
    out: /partitioned roll out complete|statefulset rolling update complete 2 pods/,
  },
  { command: 'get sts', out: /^set\s+2\/2\s+\d+[smh]\w*$/m },
  { command: 'get pods set-0 set-1 -o name', out: 'pod/set-0\npod/set-1' },
  { command: 'describe sts set', out: /^Replicas:\s+2 desired \| 2 total$/m },
  { command: 'get ds', out: /^everywhere\s+0\s+0\s+0\s+0\s+0\s+nothing=matches/m },
  { command: 'describe ds everywhere', out: /^Desired Number of Nodes Scheduled: 0$/m },
  { command: 'describe networkpolicy closed', out: /^\s+Policy Types: Ingress$/m },
  { command: 'describe limitrange limits', out: /^Container\s+cpu\s+-\s+4\s+10m/m },
  {
    command: 'wait pvc/claim --for=jsonpath={.status.phase}=Bound --timeout=120s',
    out: 'persistentvolumeclaim/claim condition met',
  },
  { command: 'get pvc', out: /^claim\s+Bound\s+volume-\S+\s+2Gi\s+RWO\s+slow-/m },
  { command: 'get pv volume-$NS', out: /^volume-\S+\s+2Gi\s+RWO\s+Retain\s+Bound\s+\S+\/claim\s+slow-/m },
  { command: 'describe pvc claim', out: /^Status:\s+Bound$/m },
  { command: 'describe pv volume-$NS', out: /^Claim:\s+\S+\/claim$/m },
  { command: 'describe storageclass slow-$NS', out: /^Provisioner:\s+kubernetes\.io\/no-provisioner$/m },
  {
    command: 'get endpoints set',
    out: /^set\s+100\.\d+\.\d+\.\d+:80,100\./m,
    err: /^$|v1 Endpoints is deprecated/,
    eventually: true,
  },
  { command: 'get endpointslices -l kubernetes.io/service-name=set', out: /IPv4\s+80\s+100\.\S+,100\./ },
];
