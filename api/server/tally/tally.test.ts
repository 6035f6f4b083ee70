import { VirtualClock } from '@trimtab/machinery';
import { Registry } from 'prom-client';
import { exposeTallies } from './expose.js';
import { figures } from './figures.js';
import { Tally } from './tally.js';
import { TimedStep } from './timed-step.js';
import { tellWebhook, unasked } from './webhook-figures.js';

async function lines(tally: Tally): Promise<readonly string[]> {
  const registry = new Registry();
  exposeTallies(registry, Object.values(figures), [tally]);
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('what was measured is told as a histogram with all it was at most', async () => {
  const tally = new Tally();
  for (const seconds of [0.001, 0.02, 0.02, 99])
    tally.observe(figures.admissionSteps, ['CREATE', 'false', 'admit'], seconds);
  const name = 'apiserver_admission_step_admission_duration_seconds';
  const labels = 'operation="CREATE",rejected="false",type="admit"';
  expect((await lines(tally)).map((line) => line.replace(name, '').replace(labels, ''))).toEqual([
    '_bucket{,le="0.005"} 1',
    '_bucket{,le="0.025"} 3',
    '_bucket{,le="0.1"} 3',
    '_bucket{,le="0.5"} 3',
    '_bucket{,le="1"} 3',
    '_bucket{,le="2.5"} 3',
    '_bucket{,le="+Inf"} 4',
    '_sum{} 99.041',
    '_count{} 4',
  ]);
});

test('a plugin that refuses is told as such, and so is its step', async () => {
  const clock = new VirtualClock();
  const tally = new Tally();
  const step = new TimedStep({ clock, tally }, 'DELETE', 'validate');
  step.begin({ name: 'One' });
  step.end();
  step.begin({ name: 'Two' });
  step.over();
  expect((await lines(tally)).filter((line) => line.includes('_count'))).toEqual([
    'apiserver_admission_controller_admission_duration_seconds_count{name="One",operation="DELETE",rejected="false",type="validate"} 1',
    'apiserver_admission_controller_admission_duration_seconds_count{name="Two",operation="DELETE",rejected="true",type="validate"} 1',
    'apiserver_admission_step_admission_duration_seconds_count{operation="DELETE",rejected="true",type="validate"} 1',
  ]);
});

test('webhooks: verdicts by their code, failures by whose fault they are, and those passed over', async () => {
  const tally = new Tally();
  const call = { name: 'w.example.com', operation: 'CREATE', type: 'validating', seconds: 0.01 } as const;
  tellWebhook(tally, { ...call, rejected: false, code: 200, ignored: false });
  tellWebhook(tally, { ...call, rejected: true, code: 403, ignored: false });
  tellWebhook(tally, { ...call, rejected: true, code: unasked, ignored: false });
  tellWebhook(tally, { ...call, rejected: false, code: unasked, ignored: true });
  const said = await lines(tally);
  const rejections = said.filter((line) => line.startsWith('apiserver_admission_webhook_rejection_count'));
  expect(rejections.map((line) => /error_type="(\w+)",rejection_code="(\d+)"\} (\d)/.exec(line)?.slice(1))).toEqual([
    ['no_error', '403', '1'],
    ['calling_webhook_error', '0', '1'],
  ]);
  expect(said).toContain('apiserver_admission_webhook_fail_open_count{name="w.example.com",type="validating"} 1');
  expect(said.filter((line) => line.startsWith('apiserver_admission_webhook_request_total'))).toHaveLength(4);
});
