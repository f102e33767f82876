// Monitors, pools and monitor groups: made, read, listed, changed, replaced and deleted.

import assert from 'node:assert/strict';

import { APIError, BadRequestError, NotFoundError } from 'cloudflare';

import { RUN, ZONE_NAME, account_id, all, id, loadBalancers, refused } from './client.js';

export async function monitors(): Promise<void> {
  const monitors = loadBalancers.monitors;
  const made = await monitors.create({ account_id, type: 'https', path: '/health', expected_codes: '2xx', header: { Host: ['example.com'] } });
  const { type, path, interval, timeout, retries, method, header, follow_redirects } = made;
  assert.deepEqual(
    { type, path, interval, timeout, retries, method, header, follow_redirects },
    { type: 'https', path: '/health', interval: 60, timeout: 5, retries: 2, method: 'GET', header: { Host: ['example.com'] }, follow_redirects: false },
  );
  assert.deepEqual(await monitors.get(id(made), { account_id }), made);
  assert.ok((await all(monitors.list({ account_id }))).some((one) => one.id === made.id));
  const changed = await monitors.edit(id(made), { account_id, description: 'changed' });
  assert.deepEqual([changed.description, changed.path], ['changed', '/health']);
  const replaced = await monitors.update(id(made), { account_id, type: 'tcp', port: 443 });
  assert.deepEqual([replaced.type, replaced.port, replaced.description, replaced.header], ['tcp', 443, '', undefined]);
  await refused(monitors.create({ account_id, type: 'http', interval: 4000 }), BadRequestError, 1002, '/interval');
  assert.equal((await monitors.delete(id(made), { account_id })).id, made.id);
  await refused(monitors.get(id(made), { account_id }), NotFoundError, 1001);
}

export async function pools(): Promise<void> {
  const pools = loadBalancers.pools;
  const monitor = await loadBalancers.monitors.create({ account_id, type: 'http', expected_codes: '200' });
  const origins = [
    { name: 'a', address: '192.0.2.1', weight: 0.56, header: { Host: [`a.${ZONE_NAME}`] } },
    { name: 'b', address: '2001:db8::5', enabled: false, port: 8443 },
  ];
  const made = await pools.create({ account_id, name: `ts-${RUN}`, origins, monitor: id(monitor), latitude: 52.5, longitude: 13 });
  assert.deepEqual([made.name, made.enabled, made.minimum_origins, made.latitude, made.longitude], [`ts-${RUN}`, true, 1, 52.5, 13]);
  assert.deepEqual(made.origins?.map((origin) => origin.name), ['a', 'b']);
  assert.deepEqual([made.origins?.[0]?.weight, made.origins?.[0]?.header?.Host], [0.56, [`a.${ZONE_NAME}`]]);
  assert.ok(!Number.isNaN(Date.parse(made.origins?.[1]?.disabled_at ?? '')), 'a disabled origin says since when');
  assert.deepEqual(await pools.get(id(made), { account_id }), made);
  assert.deepEqual((await all(pools.list({ account_id, monitor: id(monitor) }))).map((pool) => pool.id), [made.id]);
  const changed = await pools.edit(id(made), { account_id, enabled: false });
  assert.equal(changed.origins?.length, 2, 'a patch keeps the rest');
  const replaced = await pools.update(id(made), { account_id, name: `ts-${RUN}`, origins: origins.slice(0, 1) });
  assert.deepEqual([replaced.enabled, replaced.disabled_at, replaced.monitor, replaced.latitude], [true, undefined, undefined, undefined]);
  await pools.edit(id(made), { account_id, notification_email: 'ops@example.com' });
  const emptied = (await all(pools.bulkEdit({ account_id, notification_email: '' }))).find((pool) => pool.id === made.id);
  assert.equal(emptied?.notification_email, '');
  assert.deepEqual(await pools.get(id(made), { account_id }), emptied);
  assert.equal((await pools.health.get(id(made), { account_id })).pool_id, made.id);
  await refused(pools.create({ account_id, name: `ts-${RUN}`, origins }), BadRequestError, 1003, '/name');
  await refused(pools.create({ account_id, name: 'bad', origins: [{ name: 'a', address: 'not an address' }] }), BadRequestError, 1002, '/origins/0/address');
  assert.equal((await pools.delete(id(made), { account_id })).id, made.id);
  await loadBalancers.monitors.delete(id(monitor), { account_id });
}

export async function monitorGroups(): Promise<void> {
  const monitor = id(await loadBalancers.monitors.create({ account_id, type: 'http', expected_codes: '200' }));
  const member = { monitor_id: monitor, enabled: true, monitoring_only: false, must_be_healthy: true };
  const groups = loadBalancers.monitorGroups;
  const made = await groups.create({ account_id, description: 'group', members: [member] });
  assert.deepEqual([made.description, made.members[0]?.monitor_id, made.members[0]?.must_be_healthy], ['group', monitor, true]);
  assert.deepEqual(await groups.get(made.id, { account_id }), made);
  assert.ok((await all(groups.list({ account_id }))).some((one) => one.id === made.id));
  const other = { ...member, must_be_healthy: false };
  const changed = await groups.edit(made.id, { account_id, description: 'changed', members: [other] });
  assert.deepEqual([changed.description, changed.members[0]?.must_be_healthy], ['changed', false]);
  const replaced = await groups.update(made.id, { account_id, description: 'group', members: [member] });
  assert.deepEqual([replaced.description, replaced.members[0]?.must_be_healthy], ['group', true]);
  const origins = [{ name: 'a', address: '192.0.2.1' }];
  const pool = await loadBalancers.pools.create({ account_id, name: `ts-grouped-${RUN}`, origins, monitor_group: made.id });
  assert.equal(pool.monitor_group, made.id);
  const references = await all(groups.references.get(made.id, { account_id }));
  assert.ok(references.some((one) => one.reference_type === 'referrer' && one.resource_id === pool.id), JSON.stringify(references));
  await refused(groups.delete(made.id, { account_id }), APIError, 1005);
  await loadBalancers.pools.delete(id(pool), { account_id });
  assert.equal((await groups.delete(made.id, { account_id })).id, made.id);
  await loadBalancers.monitors.delete(monitor, { account_id });
}
