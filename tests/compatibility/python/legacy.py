"""The untyped client of old, version 2: paths as attributes, bodies as dictionaries."""

import importlib.metadata
import json
import re
import time
import urllib.request

import CloudFlare
from CloudFlare.exceptions import CloudFlareAPIError

from common import (
    ABSENT, ACCOUNT, EMAIL, HASTY_TOKEN, KEY, READ_ONLY_TOKEN, REQUESTS_MAX, RUN, SMALL_ACCOUNT, SMALL_TOKEN, TOKEN, URL, ZONE, ZONE_NAME,
    contains, refused, same,
)
from recorded import Recorded, all_answered

VERBS = ["get", "post", "put", "patch", "delete"]


def client(**credentials):
    return CloudFlare.CloudFlare(**(credentials or {"token": TOKEN}), base_url=URL, max_request_retries=0)


def is_endpoint(thing):
    return type(thing).__module__.startswith("CloudFlare")


def endpoints(thing, name=""):
    """`accounts.load_balancers.monitors` and the rest that is about load balancing and can be asked, read off the client."""
    for part, below in vars(thing).items():
        if not part.startswith("_") and is_endpoint(below):
            path = f"{name}.{part}".lstrip(".")
            if re.search("load_balanc|healthchecks", path) and "Unused" not in type(below).__name__:
                yield path
            yield from endpoints(below, path)


def methods():
    """Its endpoints with the verbs that they have: the client sends any, so the server's own description tells which."""
    with urllib.request.urlopen(URL.replace("/client/v4", "/openapi.json")) as answer:
        paths = json.load(answer)["paths"]
    described = {}
    for path, verbs in paths.items():
        name = ".".join(part for part in path.removeprefix("/client/v4/").split("/") if not part.startswith("{"))
        described.setdefault(name, set()).update(set(verbs) & set(VERBS))
    known = set(endpoints(client()))
    assert known <= described.keys(), f"the server lacks {sorted(known - described.keys())}"
    return [f"{name}.{verb}" for name in known for verb in described[name]]


def told(error):
    """It keeps the code alone."""
    return int(error), None


def monitors(cf):
    monitors_below(cf.accounts.load_balancers, [ACCOUNT])
    monitors_below(cf.user.load_balancers, [])


def monitors_below(place, scope):
    monitors = place.monitors
    made = monitors.post(*scope, data={"type": "http", "path": "/old", "expected_codes": "200"})
    contains(made, {"type": "http", "path": "/old", "interval": 60, "expected_body": ""}, "monitor")
    same(monitors.get(*scope, made["id"]), made, "what was made")
    assert made in monitors.get(*scope), "not in the list"
    contains(monitors.patch(*scope, made["id"], data={"retries": 0}), {"retries": 0, "path": "/old"}, "patched monitor")
    contains(monitors.put(*scope, made["id"], data={"expected_codes": "2xx"}), {"retries": 2, "path": "/"}, "replaced monitor")
    same(monitors.references.get(*scope, made["id"]), [], "nobody names it")
    with refused(CloudFlareAPIError, told, 1002):
        monitors.post(*scope, data={"type": "http", "timeout": 999})
    same(monitors.delete(*scope, made["id"]), {"id": made["id"]}, "deleted")
    with refused(CloudFlareAPIError, told, 1001):
        monitors.get(*scope, made["id"])


def pools(cf):
    pools_below(cf.accounts.load_balancers, [ACCOUNT])
    pools_below(cf.user.load_balancers, [])


def pools_below(place, scope):
    pools = place.pools
    monitor = place.monitors.post(*scope, data={"type": "http", "expected_codes": "200"})["id"]
    body = {"name": f"legacy-{RUN}", "origins": [{"name": "a", "address": "192.0.2.1"}]}
    made = pools.post(*scope, data={**body, "monitor": monitor, "notification_email": "ops@example.com"})
    same(pools.get(*scope, made["id"]), made, "what was made")
    same(pools.get(*scope, params={"monitor": monitor}), [made], "pools of the monitor")
    same([one["resource_id"] for one in pools.references.get(*scope, made["id"])], [monitor], "what the pool refers to")
    same(pools.health.get(*scope, made["id"])["pool_id"], made["id"], "health of the pool")
    everywhere = pools.patch(*scope, data={"notification_email": ""})
    same([one["notification_email"] for one in everywhere if one["id"] == made["id"]], [""], "address after it was taken from every pool")
    with refused(CloudFlareAPIError, told, 1005):
        place.monitors.delete(*scope, monitor)
    contains(pools.patch(*scope, made["id"], data={"enabled": False}), {"enabled": False, "monitor": monitor}, "patched pool")
    replaced = pools.put(*scope, made["id"], data=body)
    assert replaced["enabled"] and "monitor" not in replaced, f"a replaced pool has its defaults: {replaced}"
    same(pools.delete(*scope, made["id"]), {"id": made["id"]}, "deleted")
    place.monitors.delete(*scope, monitor)


def load_balancers(cf):
    pools = cf.accounts.load_balancers.pools
    pool = pools.post(ACCOUNT, data={"name": f"balanced-{RUN}", "origins": [{"name": "a", "address": "192.0.2.1"}]})["id"]
    balancers = cf.zones.load_balancers
    body = {"name": f"legacy-{RUN}.{ZONE_NAME}", "default_pools": [pool], "fallback_pool": pool}
    made = balancers.post(ZONE, data=body)
    contains(made, body, "load balancer")
    same(balancers.get(ZONE, made["id"]), made, "what was made")
    assert made in balancers.get(ZONE), "not in the list"
    contains(balancers.patch(ZONE, made["id"], data={"ttl": 60}), {"ttl": 60, **body}, "patched load balancer")
    contains(balancers.put(ZONE, made["id"], data=body), {"ttl": 30, **body}, "replaced load balancer")
    with refused(CloudFlareAPIError, told, 1005):
        pools.delete(ACCOUNT, pool)
    same(balancers.delete(ZONE, made["id"]), {"id": made["id"]}, "deleted")
    same(pools.delete(ACCOUNT, pool), {"id": pool}, "deleted")


def health_checks(cf):
    checks = cf.zones.healthchecks
    body = {"name": f"legacy-{RUN}", "address": "192.0.2.1", "suspended": True}
    made = checks.post(ZONE, data=body)
    contains(made, {"type": "HTTP", "status": "suspended", **body}, "health check")
    same(checks.get(ZONE, made["id"]), made, "what was made")
    assert made in checks.get(ZONE), "not in the list"
    contains(checks.patch(ZONE, made["id"], data={"interval": 90}), {"interval": 90, **body}, "patched health check")
    contains(checks.put(ZONE, made["id"], data=body), {"interval": 60, **body}, "replaced health check")
    same(checks.delete(ZONE, made["id"]), {"id": made["id"]}, "deleted")
    begun = checks.preview.post(ZONE, data={"name": f"preview-{RUN}", "address": "192.0.2.1"})
    same(checks.preview.get(ZONE, begun["id"])["name"], f"preview-{RUN}", "name of the preview")
    same(checks.preview.delete(ZONE, begun["id"]), {"id": begun["id"]}, "deleted")
    with refused(CloudFlareAPIError, told, 1001):
        checks.preview.get(ZONE, begun["id"])


def previews(cf):
    shop = next(pool for pool in cf.accounts.load_balancers.pools.get(ACCOUNT) if pool["name"] == "shop")
    settings = {"type": "tcp", "port": shop["origins"][0]["port"]}
    for place, scope in [(cf.accounts.load_balancers, [ACCOUNT]), (cf.user.load_balancers, [])]:
        for begun in [
            place.pools.preview.post(*scope, shop["id"], data=settings),
            place.monitors.preview.post(*scope, shop["monitor"], data=settings),
        ]:
            same(begun["pools"][shop["id"]], "shop", "pool of the preview")
            deadline = time.monotonic() + 60
            while (seen := place.preview.get(*scope, begun["preview_id"])[shop["id"]])["healthy"] is None:
                assert time.monotonic() < deadline, f"no answer: {seen}"
                time.sleep(0.2)
            same(seen["healthy"], True, f"verdict of {seen}")


def places_and_names(cf):
    balancing = cf.accounts.load_balancers
    same([one["region_code"] for one in balancing.regions.get(ACCOUNT, params={"country_code_a2": "NL"})["regions"]], ["WEU"], "regions")
    same(balancing.regions.get(ACCOUNT, "WNAM")["regions"][0]["region_code"], "WNAM", "region")
    found = balancing.search.get(ACCOUNT, params={"query": "shop", "references": "*"})["resources"]
    assert "shop" in [one["resource_name"] for one in found if one["resource_type"] == "pool"], f"{found} lacks the pool"
    same([zone["id"] for zone in cf.zones.get(params={"name": ZONE_NAME})], [ZONE], "zones of that name")


def the_users_own(cf):
    body = {"name": f"users-{RUN}", "origins": [{"name": "a", "address": "192.0.2.1"}]}
    pool = cf.user.load_balancers.pools.post(data=body)
    same(cf.accounts.load_balancers.pools.get(ACCOUNT, pool["id"]), pool, "the same below the account")
    same(cf.user.load_balancers.pools.delete(pool["id"]), {"id": pool["id"]}, "deleted")
    events = cf.user.load_balancing_analytics.events.get(params={"origin_healthy": "true"})
    came_up = [origin for event in events for origin in event["origins"] if origin["changed"] and origin["healthy"]]
    same(len(came_up), len(events), "origins that came up, one an event")
    assert came_up, "no demo origin came up"
    same(cf.user.tokens.verify.get()["status"], "active", "status of the token")


def a_key_pair(_):
    pair = client(email=EMAIL, key=KEY).accounts.load_balancers.monitors
    made = pair.post(ACCOUNT, data={"type": "http"})
    same(pair.delete(ACCOUNT, made["id"]), {"id": made["id"]}, "deleted")
    with refused(CloudFlareAPIError, told, 9103):
        client(email=EMAIL, key="0" * 37).accounts.load_balancers.monitors.get(ACCOUNT)


def refusals(cf):
    """By code: the client has one class for all of them."""
    for code, token, account in [(9109, "unknown", ACCOUNT), (9109, TOKEN, ABSENT), (7003, TOKEN, "not-an-id")]:
        with refused(CloudFlareAPIError, told, code):
            client(token=token).accounts.load_balancers.monitors.get(account)
    with refused(CloudFlareAPIError, told, 1000):
        client(token="unknown").user.tokens.verify.get()
    with refused(CloudFlareAPIError, told, 10000):
        client(token=READ_ONLY_TOKEN).accounts.load_balancers.monitors.post(ACCOUNT, data={"type": "http"})
    small = client(token=SMALL_TOKEN).accounts.load_balancers.monitors
    only = small.post(SMALL_ACCOUNT, data={"type": "http"})
    with refused(CloudFlareAPIError, told, 1004):
        small.post(SMALL_ACCOUNT, data={"type": "http"})
    small.delete(SMALL_ACCOUNT, only["id"])
    hasty = client(token=HASTY_TOKEN).accounts.load_balancers.regions
    with refused(CloudFlareAPIError, told, 971):
        for _ in range(4 * REQUESTS_MAX):
            hasty.get(ACCOUNT, "WEU")


CHECKS = [monitors, pools, load_balancers, health_checks, previews, places_and_names, the_users_own, a_key_pair, refusals]

if __name__ == "__main__":
    answered = set()
    cf = Recorded(client(), is_endpoint, answered)
    for check in CHECKS:
        check(cf)
        print(f"ok   {check.__name__}")
    all_answered(methods(), answered)
    print(f"{len(CHECKS)} checks and all {len(methods())} methods passed with cloudflare {importlib.metadata.version('cloudflare')}")
