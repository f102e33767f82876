"""The untyped client of old, version 2: paths as attributes, bodies as dictionaries."""

import importlib.metadata

import CloudFlare
from CloudFlare.exceptions import CloudFlareAPIError

from common import ACCOUNT, READ_ONLY_TOKEN, RUN, TOKEN, URL, ZONE, ZONE_NAME, contains, refused, same


def client(token=TOKEN):
    return CloudFlare.CloudFlare(token=token, base_url=URL, max_request_retries=0)


def told(error):
    """It keeps the code alone."""
    return int(error), None


def monitors(cf):
    monitors = cf.accounts.load_balancers.monitors
    made = monitors.post(ACCOUNT, data={"type": "http", "path": "/old", "expected_codes": "200"})
    contains(made, {"type": "http", "path": "/old", "interval": 60, "expected_body": ""}, "monitor")
    same(monitors.get(ACCOUNT, made["id"]), made, "what was made")
    assert made in monitors.get(ACCOUNT), "not in the list"
    contains(monitors.patch(ACCOUNT, made["id"], data={"retries": 0}), {"retries": 0, "path": "/old"}, "patched monitor")
    contains(monitors.put(ACCOUNT, made["id"], data={"expected_codes": "2xx"}), {"retries": 2, "path": "/"}, "replaced monitor")
    with refused(CloudFlareAPIError, told, 1002):
        monitors.post(ACCOUNT, data={"type": "http", "timeout": 999})
    same(monitors.delete(ACCOUNT, made["id"]), {"id": made["id"]}, "deleted")
    with refused(CloudFlareAPIError, told, 1001):
        monitors.get(ACCOUNT, made["id"])


def pools_and_load_balancers(cf):
    pools = cf.accounts.load_balancers.pools
    pool = pools.post(ACCOUNT, data={"name": f"legacy-{RUN}", "origins": [{"name": "a", "address": "192.0.2.1"}]})
    same(pools.get(ACCOUNT, pool["id"]), pool, "what was made")
    balancers = cf.zones.load_balancers
    body = {"name": f"legacy-{RUN}.{ZONE_NAME}", "default_pools": [pool["id"]], "fallback_pool": pool["id"]}
    made = balancers.post(ZONE, data=body)
    contains(made, body, "load balancer")
    assert made in balancers.get(ZONE), "not in the list"
    with refused(CloudFlareAPIError, told, 1005):
        pools.delete(ACCOUNT, pool["id"])
    same(balancers.delete(ZONE, made["id"]), {"id": made["id"]}, "deleted")
    same(pools.delete(ACCOUNT, pool["id"]), {"id": pool["id"]}, "deleted")


def the_users_own(cf):
    pool = cf.user.load_balancers.pools.post(data={"name": f"users-{RUN}", "origins": [{"name": "a", "address": "192.0.2.1"}]})
    same(cf.accounts.load_balancers.pools.get(ACCOUNT, pool["id"]), pool, "the same below the account")
    same(cf.user.load_balancers.pools.delete(pool["id"]), {"id": pool["id"]}, "deleted")
    events = cf.user.load_balancing_analytics.events.get(params={"origin_healthy": "true"})
    assert events and all(any(origin["changed"] for origin in event["origins"]) for event in events), f"no demo origin came up: {events}"
    same(cf.user.tokens.verify.get()["status"], "active", "status of the token")
    same([zone["id"] for zone in cf.zones.get(params={"name": ZONE_NAME})], [ZONE], "zones of that name")


def permissions(_):
    with refused(CloudFlareAPIError, told, 9109):
        client(token="unknown").accounts.load_balancers.monitors.get(ACCOUNT)
    with refused(CloudFlareAPIError, told, 10000):
        client(token=READ_ONLY_TOKEN).accounts.load_balancers.monitors.post(ACCOUNT, data={"type": "http"})


CHECKS = [monitors, pools_and_load_balancers, the_users_own, permissions]

if __name__ == "__main__":
    for check in CHECKS:
        check(client())
        print(f"ok   {check.__name__}")
    print(f"{len(CHECKS)} checks passed with cloudflare {importlib.metadata.version('cloudflare')}")
