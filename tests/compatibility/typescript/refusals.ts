// Each status of a refusal, and the class of error that the client makes of it.

import assert from 'node:assert/strict';

import Cloudflare, { APIError, AuthenticationError, BadRequestError, NotFoundError, PermissionDeniedError, RateLimitError } from 'cloudflare';

import { ABSENT, RUN, account_id, all, client, id, loadBalancers, refused, shop, variable } from './client.js';

export async function statuses(): Promise<void> {
  const monitors = loadBalancers.monitors;
  const unknown = client({ apiToken: 'unknown' });
  await refused(monitors.create({ account_id, type: 'http', timeout: 999 }), BadRequestError, 1002, '/timeout');
  await refused(unknown.user.tokens.verify(), AuthenticationError, 1000);
  await refused(unknown.loadBalancers.monitors.list({ account_id }), PermissionDeniedError, 9109);
  await refused(monitors.list({ account_id: ABSENT }), PermissionDeniedError, 9109);
  await refused(monitors.get(ABSENT, { account_id }), NotFoundError, 1001);
  await refused(monitors.get('not-an-id', { account_id }), NotFoundError, 7003);
  // The client has no class for 412, and does not try again.
  await refused(monitors.delete((await shop()).monitor, { account_id }, { maxRetries: 2 }), APIError, 1005);
}

export async function aKeyPair(): Promise<void> {
  const apiEmail = variable('QUORATE_EMAIL');
  // A token of the surroundings would go first.
  const pair = (apiKey: string): Cloudflare => client({ apiToken: null, apiEmail, apiKey });
  const monitors = pair(variable('QUORATE_KEY')).loadBalancers.monitors;
  const made = await monitors.create({ account_id, type: 'http', description: RUN });
  assert.ok((await all(monitors.list({ account_id }))).some((one) => one.id === made.id));
  assert.equal((await monitors.delete(id(made), { account_id })).id, made.id);
  await refused(pair('0'.repeat(37)).loadBalancers.monitors.list({ account_id }), PermissionDeniedError, 9103);
  await refused(pair('short').loadBalancers.monitors.list({ account_id }), BadRequestError, 6003);
}

export async function permissions(): Promise<void> {
  const reader = client({ apiToken: variable('QUORATE_READ_ONLY_TOKEN') }).loadBalancers.monitors;
  await reader.list({ account_id });
  await refused(reader.create({ account_id, type: 'http' }), PermissionDeniedError, 10000);
}

export async function quotas(): Promise<void> {
  const small = { account_id: variable('QUORATE_SMALL_ACCOUNT_ID') };
  const monitors = client({ apiToken: variable('QUORATE_SMALL_TOKEN') }).loadBalancers.monitors;
  const only = await monitors.create({ ...small, type: 'http' });
  await refused(monitors.create({ ...small, type: 'http' }), PermissionDeniedError, 1004);
  await monitors.delete(id(only), small);
}

export async function tooManyRequests(): Promise<void> {
  const [apiToken, most] = [variable('QUORATE_HASTY_TOKEN'), Number(variable('QUORATE_REQUESTS_MAX'))];
  const regions = client({ apiToken }).loadBalancers.regions;
  let asked = 0;
  const flood = async () => {
    // It refills while they are asked.
    for (; asked < 4 * most; asked += 1) await regions.get('WEU', { account_id });
  };
  await refused(flood(), RateLimitError, 971);
  assert.ok(asked >= most, `refused after ${asked} requests`);
  // With its own number of tries the client waits for as long as it is told to.
  const patient = new Cloudflare({ apiToken, baseURL: variable('QUORATE_URL') }).loadBalancers.regions;
  for (let time = 0; time < 3; time += 1) await patient.get('WEU', { account_id });
}
