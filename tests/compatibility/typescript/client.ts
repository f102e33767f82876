// The client, what its classes say that it can do, and which of that has answered.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import Cloudflare, { APIError, type ClientOptions } from 'cloudflare';

export const variable = (name: string): string => process.env[name] ?? assert.fail(`${name} is not set`);
const URL = variable('QUORATE_URL');
export const account_id = variable('QUORATE_ACCOUNT_ID');
export const zone_id = variable('QUORATE_ZONE_ID');
export const ZONE_NAME = variable('QUORATE_ZONE_NAME');
export const ABSENT = '0'.repeat(32);
// A name that no other run of these checks has used on this server.
export const RUN = randomUUID().slice(0, 8);

// Nothing is tried twice.
export const client = (options: ClientOptions): Cloudflare => new Cloudflare({ baseURL: URL, maxRetries: 0, ...options });
export const plain = client({ apiToken: variable('QUORATE_TOKEN') });

const answered = new Set<string>();

const isResource = (thing: unknown): thing is object => typeof thing === 'object' && thing !== null && '_client' in thing;

// Stands for a resource without changing it, and notes which methods answer: `loadBalancers.monitors.create`.
function recorded<T extends object>(resource: T, name: string): T {
  return new Proxy(resource, {
    get(target, property) {
      const found: unknown = Reflect.get(target, property);
      const path = `${name}.${String(property)}`;
      if (property !== '_client' && isResource(found)) return recorded(found, path);
      if (typeof found !== 'function') return found;
      return (...parameters: unknown[]) => {
        const call = found.apply(target, parameters) as PromiseLike<unknown>;
        call.then(
          () => answered.add(path),
          () => {},
        );
        return call;
      };
    },
  });
}

// What is about load balancing, with all that is below it.
export const loadBalancers = recorded(plain.loadBalancers, 'loadBalancers');
export const healthchecks = recorded(plain.healthchecks, 'healthchecks');

function methodsOf(resource: object, name: string): string[] {
  const found: string[] = [];
  for (let of: object = Object.getPrototypeOf(resource); of !== Object.prototype; of = Object.getPrototypeOf(of)) {
    const own = Object.getOwnPropertyNames(of).filter((method) => method !== 'constructor' && !method.startsWith('_'));
    found.push(...own.map((method) => `${name}.${method}`));
  }
  for (const [part, below] of Object.entries(resource)) {
    if (part !== '_client' && isResource(below)) found.push(...methodsOf(below, `${name}.${part}`));
  }
  return found;
}

// Fails where a method was never called with success; answers how many there are.
export function allAnswered(): number {
  const methods = [...methodsOf(plain.loadBalancers, 'loadBalancers'), ...methodsOf(plain.healthchecks, 'healthchecks')];
  assert.ok(methods.includes('loadBalancers.pools.health.get'), `the inside of the client is not as it was: ${methods.join(', ')}`);
  const missing = methods.filter((method) => !answered.has(method));
  assert.deepEqual(missing, [], 'never called with success');
  return methods.length;
}

// The call ends with an error of exactly this class, whose first entry has this code and pointer.
export async function refused(call: PromiseLike<unknown>, kind: Function, code: number, pointer?: string): Promise<void> {
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

export async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of pages) items.push(item);
  return items;
}

// An identifier that a result must carry.
export function id(of: { id?: string }): string {
  assert.match(of.id ?? '', /^[0-9a-f]{32}$/);
  return of.id!;
}

// Asks until there is an answer.
export async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const found = await ask();
    if (found !== undefined) return found;
    assert.ok(Date.now() < deadline, `no answer: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

// A pool of the demonstration, whose origins are up.
export async function shop(): Promise<{ id: string; monitor: string; address: string; port: number }> {
  const pool = (await all(loadBalancers.pools.list({ account_id }))).find((one) => one.name === 'shop') ?? assert.fail('no demo pool');
  const origin = pool.origins?.[0];
  assert.ok(pool.monitor && origin?.address && origin.port, JSON.stringify(pool));
  return { id: id(pool), monitor: pool.monitor, address: origin.address, port: origin.port };
}
