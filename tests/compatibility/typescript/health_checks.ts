// Standalone health checks of a zone.

import assert from 'node:assert/strict';

import { BadRequestError, NotFoundError } from 'cloudflare';

import { RUN, all, healthchecks, id, refused, shop, until, zone_id } from './client.js';

export async function healthChecks(): Promise<void> {
  const http_config = { path: '/health', expected_codes: ['200', '3xx'], header: { Host: ['example.com'] } };
  const named = { zone_id, name: `ts-${RUN}`, address: '192.0.2.1' };
  const made = await healthchecks.create({ ...named, type: 'HTTPS', check_regions: ['WEU', 'ENAM'], suspended: true, http_config });
  const { name, address, type, check_regions, suspended, status, interval, retries, timeout, consecutive_fails } = made;
  assert.deepEqual([name, address, type, check_regions], [named.name, named.address, 'HTTPS', ['WEU', 'ENAM']]);
  assert.deepEqual([suspended, status, interval, retries, timeout, consecutive_fails], [true, 'suspended', 60, 2, 5, 1]);
  assert.deepEqual([made.http_config?.method, made.http_config?.expected_codes], ['GET', ['200', '3xx']]);
  assert.deepEqual(await healthchecks.get(id(made), { zone_id }), made);
  assert.ok((await all(healthchecks.list({ zone_id }))).some((one) => one.id === made.id));
  const changed = await healthchecks.edit(id(made), { ...named, description: 'changed' });
  assert.deepEqual([changed.description, changed.type, changed.suspended], ['changed', 'HTTPS', true]);
  const tcp_config = { method: 'connection_established', port: 443 } as const;
  const replaced = await healthchecks.update(id(made), { ...named, type: 'TCP', suspended: true, tcp_config });
  assert.deepEqual([replaced.type, replaced.description, replaced.tcp_config?.port], ['TCP', '', 443]);
  await refused(healthchecks.create({ ...named, address: 'not an address' }), BadRequestError, 1002, '/address');
  assert.equal((await healthchecks.delete(id(made), { zone_id })).id, made.id);
  await refused(healthchecks.get(id(made), { zone_id }), NotFoundError, 1001);
}

export async function aVerdictOnAHealthCheck(): Promise<void> {
  const { address, port } = await shop();
  const settings = { zone_id, name: `ts-seen-${RUN}`, address, type: 'TCP', tcp_config: { method: 'connection_established', port } } as const;
  const made = await healthchecks.create({ ...settings, interval: 5 });
  const seen = await until('a verdict', async () => {
    const seen = await healthchecks.get(id(made), { zone_id });
    return seen.status === 'unknown' ? undefined : seen;
  });
  assert.deepEqual([seen.status, seen.failure_reason], ['healthy', 'No failures']);
  await healthchecks.delete(id(made), { zone_id });
  const begun = await healthchecks.previews.create(settings);
  assert.equal((await healthchecks.previews.get(id(begun), { zone_id })).name, settings.name);
  assert.equal((await healthchecks.previews.delete(id(begun), { zone_id })).id, begun.id);
  await refused(healthchecks.previews.get(id(begun), { zone_id }), NotFoundError, 1001);
}
