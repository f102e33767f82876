"""What is told of objects: previews, references, places, what is found by name, events."""

import datetime
import time

import cloudflare

from common import ABSENT, ACCOUNT, refused, same

from .client import told


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


def references_and_regions(cf):
    pool = next(pool for pool in cf.load_balancers.pools.list(account_id=ACCOUNT) if pool.name == "shop")
    referrals = [one.resource_id for one in cf.load_balancers.pools.references.get(pool.id, account_id=ACCOUNT) if one.reference_type == "referral"]
    same(referrals, [pool.monitor], "what the pool refers to")
    referrers = [one.resource_id for one in cf.load_balancers.monitors.references.get(pool.monitor, account_id=ACCOUNT)]
    assert pool.id in referrers, f"{referrers} lacks the pool"
    region = cf.load_balancers.regions.get("WNAM", account_id=ACCOUNT)
    same(region["regions"][0]["region_code"], "WNAM", "region")
    countries = cf.load_balancers.regions.list(account_id=ACCOUNT, country_code_a2="NL")
    same([one["region_code"] for one in countries["regions"]], ["WEU"], "regions of the Netherlands")


def search(cf):
    found = cf.load_balancers.searches.list(account_id=ACCOUNT, query="SHOP", references="*", page=1, per_page=1000)
    # The client looks for `items` and finds nothing to go through; what it keeps has the published name.
    resources = {resource["resource_name"]: resource for resource in found.result.resources}
    same(resources["shop"]["resource_type"], "pool", "type of what was found")
    assert "referral" in [one["reference_type"] for one in resources["shop"]["references"]], f"{resources['shop']} lacks its monitor"
    nothing = cf.load_balancers.searches.list(account_id=ACCOUNT, query="no such name")
    same(nothing.result.resources, [], "what has no such name")


def events(cf):
    """The typed client has no method for them, and a way to ask what it has no method for."""
    until = datetime.datetime.now(datetime.timezone.utc).isoformat()

    def ask(**filters):
        params = {"until": until, **filters}
        return cf.get("/user/load_balancing_analytics/events", cast_to=object, options={"params": params})["result"]

    everything = ask()
    newest, oldest = everything[0], everything[-1]

    def changed(event):
        # Where the pool changed by its configuration, no origin did.
        return next((origin for origin in event["origins"] if origin["changed"]), {})

    came_up = next(event for event in everything if changed(event).get("healthy"))
    for filters, is_meant in [
        ({"pool_id": newest["pool"]["id"]}, lambda event: event["pool"]["id"] == newest["pool"]["id"]),
        ({"pool_name": "shop"}, lambda event: event["pool"]["name"] == "shop"),
        ({"origin_name": changed(came_up)["name"]}, lambda event: changed(event).get("name") == changed(came_up)["name"]),
        ({"origin_healthy": "true"}, lambda event: changed(event).get("healthy") is True),
        ({"origin_healthy": "false"}, lambda event: changed(event).get("healthy") is False),
        ({"pool_healthy": "true"}, lambda event: event["pool"]["healthy"] is True),
        ({"pool_healthy": "false"}, lambda event: event["pool"]["healthy"] is False),
        ({"since": newest["timestamp"]}, lambda event: event["timestamp"] >= newest["timestamp"]),
        ({"until": newest["timestamp"]}, lambda event: event["timestamp"] < newest["timestamp"]),
        ({"since": oldest["timestamp"], "pool_id": "0" * 32}, lambda event: False),
    ]:
        same(ask(**filters), [event for event in everything if is_meant(event)], f"events by {filters}")
    with refused(cloudflare.BadRequestError, told, 1002):
        ask(since="yesterday")
