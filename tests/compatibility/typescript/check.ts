// The typed TypeScript client: every load-balancing method it has. The compiler checks that results have the fields
// that are read here; this program checks that the server's answers do.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import Cloudflare, { APIError, AuthenticationError, BadRequestError, NotFoundError, PermissionDeniedError } from 'cloudflare';
import { VERSION } from 'cloudflare/version';

const variable = (name: string): string => process.env[name] ?? assert.fail(`${name} is not set`);
const URL = variable('QUORATE_URL');
const TOKEN = variable('QUORATE_TOKEN');
const account_id = variable('QUORATE_ACCOUNT_ID');
const zone_id = variable('QUORATE_ZONE_ID');
const ZONE_NAME = variable('QUORATE_ZONE_NAME');
const ABSENT = '0'.repeat(32);
// A name that no other run of these checks has used on this server.
const RUN = randomUUID().slice(0, 8);

const client = (apiToken: string): Cloudflare => new Cloudflare({ apiToken, baseURL: URL, maxRetries: 0 });
const cf = client(TOKEN);

// The call ends with an error of exactly this class, whose first entry has this code and pointer.
async function refused(call: PromiseLike<unknown>, kind: Function, code: number, pointer?: string): Promise<void> {
  let error: unknown;
  try {
    await call;
  } catch (caught) {
    error = caught;
  }
  assert.ok(error instanceof APIError, `not refused: ${String(error)}`);
  assert.equal(error.constructor, kind, `class of ${error.message}`);
  const first = (error.error as { errors: { code: number; source?: { pointer: string } }[] }).errors[0];
  assert.equal(first?.code, code, error.message);
  if (pointer !== undefined) assert.equal(first?.source?.pointer, pointer, error.message);
}

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of pages) items.push(item);
  return items;
}

// An identifier that a result must carry.
function id(of: { id?: string }): string {
  assert.match(of.id ?? '', /^[0-9a-f]{32}$/);
  return of.id!;
}

async function monitors(): Promise<void> {
  const monitors = cf.loadBalancers.monitors;
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

async function pools(): Promise<void> {
  const pools = cf.loadBalancers.pools;
  const monitor = await cf.loadBalancers.monitors.create({ account_id, type: 'http', expected_codes: '200' });
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
  assert.equal((await pools.health.get(id(made), { account_id })).pool_id, made.id);
  await refused(pools.create({ account_id, name: `ts-${RUN}`, origins }), BadRequestError, 1003, '/name');
  await refused(pools.create({ account_id, name: 'bad', origins: [{ name: 'a', address: 'not an address' }] }), BadRequestError, 1002, '/origins/0/address');
  assert.equal((await pools.delete(id(made), { account_id })).id, made.id);
  await cf.loadBalancers.monitors.delete(id(monitor), { account_id });
}

async function loadBalancers(): Promise<void> {
  const balancers = cf.loadBalancers;
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

async function loadBalancersOfTheAccount(): Promise<void> {
  const pool = id(await cf.loadBalancers.pools.create({ account_id, name: `ts-acc-${RUN}`, origins: [{ name: 'a', address: '192.0.2.1' }] }));
  const name = `ts-account-${RUN}.${ZONE_NAME}`;
  const made = await cf.loadBalancers.create({ account_id, name, default_pools: [pool], fallback_pool: pool });
  assert.deepEqual([made.name, made.default_pools], [name, [pool]]);
  assert.deepEqual(await cf.loadBalancers.get(id(made), { account_id }), made);
  assert.equal((await cf.loadBalancers.delete(id(made), { account_id })).id, made.id);
  await cf.loadBalancers.pools.delete(pool, { account_id });
}

async function monitorGroups(): Promise<void> {
  const monitor = id(await cf.loadBalancers.monitors.create({ account_id, type: 'http', expected_codes: '200' }));
  const member = { monitor_id: monitor, enabled: true, monitoring_only: false, must_be_healthy: true };
  const groups = cf.loadBalancers.monitorGroups;
  const made = await groups.create({ account_id, description: 'group', members: [member] });
  assert.deepEqual([made.description, made.members[0]?.monitor_id, made.members[0]?.must_be_healthy], ['group', monitor, true]);
  assert.deepEqual(await groups.get(made.id, { account_id }), made);
  assert.ok((await all(groups.list({ account_id }))).some((one) => one.id === made.id));
  const origins = [{ name: 'a', address: '192.0.2.1' }];
  const pool = await cf.loadBalancers.pools.create({ account_id, name: `ts-grouped-${RUN}`, origins, monitor_group: made.id });
  assert.equal(pool.monitor_group, made.id);
  await refused(groups.delete(made.id, { account_id }), APIError, 1005);
  await cf.loadBalancers.pools.delete(id(pool), { account_id });
  assert.equal((await groups.delete(made.id, { account_id })).id, made.id);
  await cf.loadBalancers.monitors.delete(monitor, { account_id });
}

async function previews(): Promise<void> {
  const pool = (await all(cf.loadBalancers.pools.list({ account_id }))).find((one) => one.name === 'shop') ?? assert.fail('no demo pool');
  const begun = await cf.loadBalancers.pools.health.create(id(pool), { account_id, type: 'tcp', port: pool.origins?.[0]?.port ?? 0 });
  assert.deepEqual(begun.pools, { [id(pool)]: 'shop' });
  const deadline = Date.now() + 60_000;
  for (;;) {
    const seen = (await cf.loadBalancers.previews.get(begun.preview_id!, { account_id }))[id(pool)];
    if (seen?.healthy === true) break;
    assert.ok(Date.now() < deadline, `no answer: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await refused(cf.loadBalancers.previews.get(ABSENT, { account_id }), NotFoundError, 1001);
}

async function referencesSearchAndRegions(): Promise<void> {
  const pool = (await all(cf.loadBalancers.pools.list({ account_id }))).find((one) => one.name === 'shop') ?? assert.fail('no demo pool');
  const references = await all(cf.loadBalancers.pools.references.get(id(pool), { account_id }));
  assert.ok(references.some((one) => one.reference_type === 'referral' && one.resource_id === pool.monitor), JSON.stringify(references));
  const regions = (await cf.loadBalancers.regions.get('WNAM', { account_id })) as { regions: { region_code: string }[] };
  assert.equal(regions.regions[0]?.region_code, 'WNAM');
}

async function zonesAndAccounts(): Promise<void> {
  assert.deepEqual((await all(cf.zones.list({ name: ZONE_NAME }))).map((zone) => zone.id), [zone_id]);
  const zone = await cf.zones.get({ zone_id });
  assert.deepEqual([zone.id, zone.name, zone.account.id, zone.status, zone.paused, zone.type], [zone_id, ZONE_NAME, account_id, 'active', false, 'full']);
  assert.ok((await all(cf.accounts.list())).some((account) => account.id === account_id));
  assert.equal((await cf.accounts.get({ account_id })).id, account_id);
}

async function tokens(): Promise<void> {
  assert.equal((await cf.user.tokens.verify())?.status, 'active');
  await refused(client('unknown').user.tokens.verify(), AuthenticationError, 1000);
  await refused(client('unknown').loadBalancers.monitors.list({ account_id }), PermissionDeniedError, 9109);
  await refused(cf.loadBalancers.monitors.list({ account_id: ABSENT }), PermissionDeniedError, 9109);
  const reader = client(variable('QUORATE_READ_ONLY_TOKEN'));
  await reader.loadBalancers.monitors.list({ account_id });
  await refused(reader.loadBalancers.monitors.create({ account_id, type: 'http' }), PermissionDeniedError, 10000);
  await refused(cf.loadBalancers.monitors.get('not-an-id', { account_id }), NotFoundError, 7003);
}

const checks = [
  monitors,
  pools,
  loadBalancers,
  loadBalancersOfTheAccount,
  monitorGroups,
  previews,
  referencesSearchAndRegions,
  zonesAndAccounts,
  tokens,
];
for (const check of checks) {
  await check();
  console.log(`ok   ${check.name}`);
}
console.log(`${checks.length} checks passed with cloudflare ${VERSION}`);
