// Load balancers, of a zone and of the account.

import assert from 'node:assert/strict';

import { APIError, BadRequestError } from 'cloudflare';

import { RUN, ZONE_NAME, account_id, all, id, loadBalancers, refused, zone_id } from './client.js';

export async function ofTheZone(): Promise<void> {
  const balancers = loadBalancers;
  const pool = id(await balancers.pools.create({ account_id, name: `ts-lb-${RUN}`, origins: [{ name: 'a', address: '192.0.2.1' }] }));
  const name = `ts-${RUN}.${ZONE_NAME}`;
  const made = await balancers.create({
    zone_id,
    name,
    default_pools: [pool],
    fallback_pool: pool,
    region_pools: { WEU: [pool] },
    session_affinity: 'cookie',
    random_steering: { default_weight: 0.3, pool_weights: { [pool]: 0.7 } },
    rules: [{ name: 'maintenance', condition: 'http.request.uri.path contains "/m"', fixed_response: { status_code: 503 } }],
  });
  assert.deepEqual([made.name, made.ttl, made.session_affinity_ttl, made.steering_policy, made.proxied], [name, 30, 82800, '', false]);
  assert.deepEqual([made.region_pools, made.random_steering?.pool_weights], [{ WEU: [pool] }, { [pool]: 0.7 }]);
  assert.equal(made.rules?.[0]?.fixed_response?.status_code, 503);
  assert.equal(made.session_affinity_attributes?.samesite, 'Auto');
  assert.deepEqual(await balancers.get(id(made), { zone_id }), made);
  assert.ok((await all(balancers.list({ zone_id }))).some((one) => one.id === made.id));
  const changed = await balancers.edit(id(made), { zone_id, description: 'changed' });
  assert.deepEqual([changed.description, changed.region_pools], ['changed', { WEU: [pool] }]);
  const replaced = await balancers.update(id(made), { zone_id, name, default_pools: [pool], fallback_pool: pool });
  assert.deepEqual([replaced.description, replaced.region_pools, replaced.session_affinity, replaced.rules], [undefined, undefined, 'none', undefined]);
  await refused(balancers.pools.delete(pool, { account_id }), APIError, 1005);
  await refused(balancers.create({ zone_id, name: 'www.elsewhere.example', default_pools: [pool], fallback_pool: pool }), BadRequestError, 1002, '/name');
  assert.equal((await balancers.delete(id(made), { zone_id })).id, made.id);
  await balancers.pools.delete(pool, { account_id });
}

export async function ofTheAccount(): Promise<void> {
  const pool = id(await loadBalancers.pools.create({ account_id, name: `ts-acc-${RUN}`, origins: [{ name: 'a', address: '192.0.2.1' }] }));
  const name = `ts-account-${RUN}.${ZONE_NAME}`;
  const made = await loadBalancers.create({ account_id, name, default_pools: [pool], fallback_pool: pool });
  assert.deepEqual([made.name, made.default_pools], [name, [pool]]);
  assert.deepEqual(await loadBalancers.get(id(made), { account_id }), made);
  assert.deepEqual((await all(loadBalancers.list({ account_id }))).map((one) => one.id), [made.id]);
  const changed = await loadBalancers.edit(id(made), { account_id, description: 'changed' });
  assert.deepEqual([changed.description, changed.default_pools], ['changed', [pool]]);
  const replaced = await loadBalancers.update(id(made), { account_id, name, default_pools: [pool], fallback_pool: pool });
  assert.deepEqual([replaced.description, replaced.default_pools], [undefined, [pool]]);
  assert.equal((await loadBalancers.delete(id(made), { account_id })).id, made.id);
  await loadBalancers.pools.delete(pool, { account_id });
}
