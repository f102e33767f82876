// The typed TypeScript client: every load-balancing method it has. The compiler checks that results have the fields
// that are read here; this program checks that the server's answers do.

import { VERSION } from 'cloudflare/version';

import { ofTheAccount, ofTheZone } from './balancers.js';
import { allAnswered } from './client.js';
import { aVerdictOnAHealthCheck, healthChecks } from './health_checks.js';
import { monitorGroups, monitors, pools } from './objects.js';
import { aKeyPair, permissions, quotas, statuses, tooManyRequests } from './refusals.js';
import { events, previews, references, regions, search, zonesAndAccounts } from './views.js';

const checks = [
  monitors,
  pools,
  ofTheZone,
  ofTheAccount,
  monitorGroups,
  healthChecks,
  aVerdictOnAHealthCheck,
  previews,
  references,
  regions,
  search,
  events,
  zonesAndAccounts,
  aKeyPair,
  statuses,
  permissions,
  quotas,
  tooManyRequests,
];
for (const check of checks) {
  await check();
  console.log(`ok   ${check.name}`);
}
console.log(`${checks.length} checks and all ${allAnswered()} methods passed with cloudflare ${VERSION}`);
