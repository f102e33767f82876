// What is told of objects: previews, references, places, what is found by name, events.

import assert from 'node:assert/strict';

import { BadRequestError, NotFoundError } from 'cloudflare';

import { ABSENT, ZONE_NAME, account_id, all, loadBalancers, plain, refused, shop, until, zone_id } from './client.js';

export async function previews(): Promise<void> {
  const pool = await shop();
  const settings = { account_id, type: 'tcp', port: pool.port } as const;
  for (const begun of [
    await loadBalancers.pools.health.create(pool.id, settings),
    await loadBalancers.monitors.previews.create(pool.monitor, settings),
  ]) {
    assert.equal(begun.pools?.[pool.id], 'shop');
    const healthy = await until('a verdict', async () => {
      const seen = await loadBalancers.previews.get(begun.preview_id!, { account_id });
      return seen[pool.id]?.healthy ?? undefined;
    });
    assert.equal(healthy, true);
  }
  await refused(loadBalancers.previews.get(ABSENT, { account_id }), NotFoundError, 1001);
}

export async function references(): Promise<void> {
  const pool = await shop();
  const ofPool = await all(loadBalancers.pools.references.get(pool.id, { account_id }));
  assert.ok(ofPool.some((one) => one.reference_type === 'referral' && one.resource_id === pool.monitor), JSON.stringify(ofPool));
  const ofMonitor = await all(loadBalancers.monitors.references.get(pool.monitor, { account_id }));
  assert.ok(ofMonitor.some((one) => one.reference_type === 'referrer' && one.resource_id === pool.id), JSON.stringify(ofMonitor));
}

export async function regions(): Promise<void> {
  type Regions = { regions: { region_code: string }[] };
  const codes = (found: unknown) => (found as Regions).regions.map((region) => region.region_code);
  assert.deepEqual(codes(await loadBalancers.regions.get('WNAM', { account_id })), ['WNAM']);
  assert.deepEqual(codes(await loadBalancers.regions.list({ account_id, country_code_a2: 'NL' })), ['WEU']);
}

export async function search(): Promise<void> {
  // The client looks for `items` and finds nothing to go through; what it keeps has the published name.
  type Resources = { resources: { resource_name: string; resource_type: string; references: { reference_type: string }[] }[] };
  const ask = async (query: string) =>
    ((await loadBalancers.searches.list({ account_id, query, references: '*', page: 1, per_page: 1000 })).result as unknown as Resources).resources;
  const found = (await ask('SHOP')).find((one) => one.resource_name === 'shop');
  assert.equal(found?.resource_type, 'pool');
  assert.ok(found.references.some((one) => one.reference_type === 'referral'), JSON.stringify(found));
  assert.deepEqual(await ask('no such name'), []);
}

// The client has no method for them, and a way to ask what it has no method for.
export async function events(): Promise<void> {
  type Event = { timestamp: string; pool: { id: string; healthy: boolean | null }; origins: Origin[] };
  type Origin = { name: string; healthy: boolean; changed: boolean };
  const until = new Date().toISOString();
  const ask = async (query: object) =>
    ((await plain.get('/user/load_balancing_analytics/events', { query: { until, ...query } })) as { result: Event[] }).result;
  // Where the pool changed by its configuration, no origin did.
  const changed = (event: Event) => event.origins.find((origin) => origin.changed);
  const everything = await ask({});
  const newest = everything[0] ?? assert.fail('no events');
  const name = everything.map(changed).find((origin) => origin?.healthy)?.name ?? assert.fail('no demo origin came up');
  const filters: [object, (event: Event) => boolean][] = [
    [{ pool_id: newest.pool.id }, (event) => event.pool.id === newest.pool.id],
    [{ origin_name: name }, (event) => changed(event)?.name === name],
    [{ origin_healthy: true }, (event) => changed(event)?.healthy === true],
    [{ origin_healthy: false }, (event) => changed(event)?.healthy === false],
    [{ pool_healthy: true }, (event) => event.pool.healthy === true],
    [{ pool_healthy: false }, (event) => event.pool.healthy === false],
    [{ since: newest.timestamp }, (event) => event.timestamp >= newest.timestamp],
    [{ until: newest.timestamp }, (event) => event.timestamp < newest.timestamp],
  ];
  for (const [filter, isMeant] of filters) assert.deepEqual(await ask(filter), everything.filter(isMeant), JSON.stringify(filter));
  await refused(plain.get('/user/load_balancing_analytics/events', { query: { since: 'yesterday' } }), BadRequestError, 1002);
}

export async function zonesAndAccounts(): Promise<void> {
  assert.deepEqual((await all(plain.zones.list({ name: ZONE_NAME }))).map((zone) => zone.id), [zone_id]);
  const zone = await plain.zones.get({ zone_id });
  assert.deepEqual([zone.id, zone.name, zone.account.id, zone.status, zone.paused, zone.type], [zone_id, ZONE_NAME, account_id, 'active', false, 'full']);
  assert.ok((await all(plain.accounts.list())).some((account) => account.id === account_id));
  assert.equal((await plain.accounts.get({ account_id })).id, account_id);
  assert.equal((await plain.user.tokens.verify())?.status, 'active');
}
