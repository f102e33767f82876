"""The typed client, versions 4 and 5: every load-balancing method it has, results checked against its own types."""

import datetime
import importlib.metadata
import time

import cloudflare
from cloudflare import Cloudflare

from common import ABSENT, ACCOUNT, READ_ONLY_TOKEN, RUN, TOKEN, URL, ZONE, ZONE_NAME, contains, refused, same


def client(token=TOKEN, **more):
    # An answer that does not fit the client's types is an error, and nothing is tried twice.
    options = {"base_url": URL, "max_retries": 0, "_strict_response_validation": True}
    return Cloudflare(api_token=token, **{**options, **more})


def told(error):
    """Code and pointer of the first error in a body."""
    first = error.body["errors"][0]
    return first["code"], (first.get("source") or {}).get("pointer")


def monitors(cf):
    monitors = cf.load_balancers.monitors
    made = monitors.create(account_id=ACCOUNT, type="https", path="/health", expected_codes="2xx", header={"Host": ["example.com"]})
    defaults = {"interval": 60, "retries": 2, "timeout": 5, "method": "GET", "port": 0, "follow_redirects": False, "consecutive_up": 0}
    contains(made, {"type": "https", "path": "/health", "expected_codes": "2xx", "header": {"Host": ["example.com"]}, **defaults}, "monitor")
    same(monitors.get(made.id, account_id=ACCOUNT), made, "what was made")
    assert made.id in [one.id for one in monitors.list(account_id=ACCOUNT)], "not in the list"
    changed = monitors.edit(made.id, account_id=ACCOUNT, description="changed")
    contains(changed, {"description": "changed", "path": "/health", "expected_codes": "2xx"}, "edited monitor")
    replaced = monitors.update(made.id, account_id=ACCOUNT, type="tcp", port=443)
    contains(replaced, {"type": "tcp", "port": 443, "method": "connection_established", "description": "", "header": None}, "replaced monitor")
    with refused(cloudflare.BadRequestError, told, 1002, "/interval"):
        monitors.create(account_id=ACCOUNT, type="http", interval=4000)
    same(monitors.delete(made.id, account_id=ACCOUNT).id, made.id, "deleted id")
    with refused(cloudflare.NotFoundError, told, 1001):
        monitors.get(made.id, account_id=ACCOUNT)


def pools(cf):
    monitor = cf.load_balancers.monitors.create(account_id=ACCOUNT, type="http", expected_codes="200")
    pools = cf.load_balancers.pools
    origins = [
        {"name": "a", "address": "192.0.2.1", "weight": 0.56, "header": {"Host": [f"a.{ZONE_NAME}"]}},
        {"name": "b", "address": "2001:db8::5", "enabled": False, "port": 8443},
    ]
    made = pools.create(account_id=ACCOUNT, name=f"typed-{RUN}", origins=origins, monitor=monitor.id, latitude=52.5, longitude=13)
    contains(made, {"name": f"typed-{RUN}", "enabled": True, "minimum_origins": 1, "monitor": monitor.id, "latitude": 52.5}, "pool")
    same([origin.name for origin in made.origins], ["a", "b"], "order of the origins")
    contains(made.origins[0], {"weight": 0.56, "enabled": True, "disabled_at": None}, "first origin")
    same(made.origins[0].header.host, [f"a.{ZONE_NAME}"], "Host header")
    assert isinstance(made.origins[1].disabled_at, datetime.datetime), "a disabled origin says since when"
    same(pools.get(made.id, account_id=ACCOUNT), made, "what was made")
    same([pool.id for pool in pools.list(account_id=ACCOUNT, monitor=monitor.id)], [made.id], "pools of the monitor")
    changed = pools.edit(made.id, account_id=ACCOUNT, enabled=False)
    assert isinstance(changed.disabled_at, datetime.datetime) and len(changed.origins) == 2, "a patch keeps the rest"
    replaced = pools.update(made.id, account_id=ACCOUNT, name=f"typed-{RUN}", origins=origins[:1])
    contains(replaced, {"enabled": True, "disabled_at": None, "monitor": None, "latitude": None}, "replaced pool")
    health = pools.health.get(made.id, account_id=ACCOUNT)
    same(health.pool_id, made.id, "health of the pool")
    with refused(cloudflare.BadRequestError, told, 1003, "/name"):
        pools.create(account_id=ACCOUNT, name=f"typed-{RUN}", origins=origins[:1])
    with refused(cloudflare.BadRequestError, told, 1002, "/origins/0/address"):
        pools.create(account_id=ACCOUNT, name=f"bad-{RUN}", origins=[{"name": "a", "address": "not an address"}])
    same(pools.delete(made.id, account_id=ACCOUNT).id, made.id, "deleted id")
    cf.load_balancers.monitors.delete(monitor.id, account_id=ACCOUNT)


def load_balancers(cf):
    pool = cf.load_balancers.pools.create(account_id=ACCOUNT, name=f"balanced-{RUN}", origins=[{"name": "a", "address": "192.0.2.1"}])
    name = f"lb-{RUN}.{ZONE_NAME}"
    made = cf.load_balancers.create(
        zone_id=ZONE,
        name=name,
        default_pools=[pool.id],
        fallback_pool=pool.id,
        region_pools={"WEU": [pool.id]},
        session_affinity="cookie",
        random_steering={"default_weight": 0.3, "pool_weights": {pool.id: 0.7}},
        rules=[{"name": "maintenance", "condition": 'http.request.uri.path contains "/m"', "fixed_response": {"status_code": 503}}],
    )
    contains(made, {"name": name, "default_pools": [pool.id], "fallback_pool": pool.id, "ttl": 30, "session_affinity_ttl": 82800}, "lb")
    contains(made, {"region_pools": {"WEU": [pool.id]}, "steering_policy": "", "proxied": False}, "lb")
    same(made.rules[0].fixed_response.status_code, 503, "fixed response")
    same(made.random_steering.pool_weights, {pool.id: 0.7}, "weights")
    same(made.session_affinity_attributes.samesite, "Auto", "affinity attributes")
    same(cf.load_balancers.get(made.id, zone_id=ZONE), made, "what was made")
    assert made.id in [one.id for one in cf.load_balancers.list(zone_id=ZONE)], "not in the list"
    changed = cf.load_balancers.edit(made.id, zone_id=ZONE, description="changed")
    contains(changed, {"description": "changed", "region_pools": {"WEU": [pool.id]}}, "edited lb")
    replaced = cf.load_balancers.update(made.id, zone_id=ZONE, name=name, default_pools=[pool.id], fallback_pool=pool.id)
    contains(replaced, {"description": None, "region_pools": None, "session_affinity": "none", "rules": None}, "replaced lb")
    with refused(cloudflare.APIStatusError, told, 1005):
        cf.load_balancers.pools.delete(pool.id, account_id=ACCOUNT)
    with refused(cloudflare.BadRequestError, told, 1002, "/name"):
        cf.load_balancers.create(zone_id=ZONE, name="www.elsewhere.example", default_pools=[pool.id], fallback_pool=pool.id)
    same(cf.load_balancers.delete(made.id, zone_id=ZONE).id, made.id, "deleted id")
    cf.load_balancers.pools.delete(pool.id, account_id=ACCOUNT)


def load_balancers_of_the_account(cf):
    pool = cf.load_balancers.pools.create(account_id=ACCOUNT, name=f"account-{RUN}", origins=[{"name": "a", "address": "192.0.2.1"}])
    body = {"name": f"account-{RUN}.{ZONE_NAME}", "default_pools": [pool.id], "fallback_pool": pool.id}
    made = cf.load_balancers.create(account_id=ACCOUNT, **body)
    contains(made, body, "load balancer")
    same(cf.load_balancers.get(made.id, account_id=ACCOUNT), made, "what was made")
    same(cf.load_balancers.delete(made.id, account_id=ACCOUNT).id, made.id, "deleted id")
    cf.load_balancers.pools.delete(pool.id, account_id=ACCOUNT)


def monitor_groups(cf):
    monitor = cf.load_balancers.monitors.create(account_id=ACCOUNT, type="http", expected_codes="200")
    member = {"monitor_id": monitor.id, "enabled": True, "monitoring_only": False, "must_be_healthy": True}
    groups = cf.load_balancers.monitor_groups
    made = groups.create(account_id=ACCOUNT, description="group", members=[member])
    same(made.description, "group", "description")
    contains(made.members[0], member, "member")
    same(groups.get(made.id, account_id=ACCOUNT), made, "what was made")
    assert made.id in [one.id for one in groups.list(account_id=ACCOUNT)], "not in the list"
    pool = cf.load_balancers.pools.create(
        account_id=ACCOUNT, name=f"grouped-{RUN}", origins=[{"name": "a", "address": "192.0.2.1"}], monitor_group=made.id
    )
    same(pool.monitor_group, made.id, "group of the pool")
    same([one.resource_id for one in groups.references.get(made.id, account_id=ACCOUNT) if one.reference_type == "referrer"], [pool.id], "referrers")
    with refused(cloudflare.APIStatusError, told, 1005):
        groups.delete(made.id, account_id=ACCOUNT)
    cf.load_balancers.pools.delete(pool.id, account_id=ACCOUNT)
    same(groups.delete(made.id, account_id=ACCOUNT).id, made.id, "deleted group")
    cf.load_balancers.monitors.delete(monitor.id, account_id=ACCOUNT)


def previews(cf):
    pool = next(pool for pool in cf.load_balancers.pools.list(account_id=ACCOUNT) if pool.name == "shop")
    # Version 4 requires what version 5 does not.
    settings = {"account_id": ACCOUNT, "type": "tcp", "port": pool.origins[0].port, "expected_codes": ""}
    for begun in [
        cf.load_balancers.pools.health.create(pool.id, **settings),
        cf.load_balancers.monitors.previews.create(pool.monitor, **settings),
    ]:
        assert pool.id in begun.pools, f"{begun} is not of the pool"
        deadline = time.monotonic() + 60
        while True:
            seen = cf.load_balancers.previews.get(begun.preview_id, account_id=ACCOUNT)
            if seen[pool.id].healthy is not None:
                break
            assert time.monotonic() < deadline, f"no answer: {seen}"
            time.sleep(0.2)
        assert seen[pool.id].healthy is True, f"{seen}"
        same({address for origin in seen[pool.id].origins for address in origin}, {origin.address for origin in pool.origins}, "origins")
    with refused(cloudflare.NotFoundError, told, 1001):
        cf.load_balancers.previews.get(ABSENT, account_id=ACCOUNT)


def references_search_and_regions(cf):
    pool = next(pool for pool in cf.load_balancers.pools.list(account_id=ACCOUNT) if pool.name == "shop")
    referrals = [one.resource_id for one in cf.load_balancers.pools.references.get(pool.id, account_id=ACCOUNT) if one.reference_type == "referral"]
    same(referrals, [pool.monitor], "what the pool refers to")
    referrers = [one.resource_id for one in cf.load_balancers.monitors.references.get(pool.monitor, account_id=ACCOUNT)]
    assert pool.id in referrers, f"{referrers} lacks the pool"
    region = cf.load_balancers.regions.get("WNAM", account_id=ACCOUNT)
    same(region["regions"][0]["region_code"], "WNAM", "region")
    countries = cf.load_balancers.regions.list(account_id=ACCOUNT, country_code_a2="NL")
    same([one["region_code"] for one in countries["regions"]], ["WEU"], "regions of the Netherlands")


def zones_and_accounts(cf):
    same([zone.id for zone in cf.zones.list(name=ZONE_NAME)], [ZONE], "zones of that name")
    zone = cf.zones.get(zone_id=ZONE)
    contains(zone, {"id": ZONE, "name": ZONE_NAME, "status": "active", "paused": False, "type": "full"}, "zone")
    same(zone.account.id, ACCOUNT, "account of the zone")
    assert ACCOUNT in [account.id for account in cf.accounts.list()], "not in the list"
    same(cf.accounts.get(account_id=ACCOUNT).id, ACCOUNT, "account")


def tokens(cf):
    same(cf.user.tokens.verify().status, "active", "status of the token")
    with refused(cloudflare.AuthenticationError, told, 1000):
        client(token="unknown").user.tokens.verify()
    with refused(cloudflare.PermissionDeniedError, told, 9109):
        client(token="unknown").load_balancers.monitors.list(account_id=ACCOUNT)
    with refused(cloudflare.PermissionDeniedError, told, 9109):
        cf.load_balancers.monitors.list(account_id=ABSENT)
    reader = client(token=READ_ONLY_TOKEN)
    reader.load_balancers.monitors.list(account_id=ACCOUNT)
    with refused(cloudflare.PermissionDeniedError, told, 10000):
        reader.load_balancers.monitors.create(account_id=ACCOUNT, type="http")
    with refused(cloudflare.NotFoundError, told, 7003):
        cf.load_balancers.monitors.get("not-an-id", account_id=ACCOUNT)


CHECKS = [
    monitors,
    pools,
    load_balancers,
    load_balancers_of_the_account,
    monitor_groups,
    previews,
    references_search_and_regions,
    zones_and_accounts,
    tokens,
]

if __name__ == "__main__":
    # What the older major version does not have yet.
    has_groups = hasattr(client().load_balancers, "monitor_groups")
    checks = [check for check in CHECKS if has_groups or check not in (monitor_groups, load_balancers_of_the_account)]
    for check in checks:
        started = time.monotonic()
        check(client())
        print(f"ok   {check.__name__} ({time.monotonic() - started:.2f} s)")
    print(f"{len(checks)} checks passed with cloudflare {importlib.metadata.version('cloudflare')}")
