"""Standalone health checks of a zone."""

import time

import cloudflare

from common import ACCOUNT, RUN, ZONE, contains, refused, same

from .client import told


def health_checks(cf):
    checks = cf.healthchecks
    made = checks.create(
        zone_id=ZONE,
        name=f"typed-{RUN}",
        address="192.0.2.1",
        type="HTTPS",
        check_regions=["WEU", "ENAM"],
        suspended=True,
        http_config={"path": "/health", "expected_codes": ["200", "3xx"], "header": {"Host": ["example.com"]}},
    )
    contains(made, {"name": f"typed-{RUN}", "address": "192.0.2.1", "type": "HTTPS", "suspended": True, "status": "suspended"}, "check")
    contains(made, {"check_regions": ["WEU", "ENAM"], "interval": 60, "retries": 2, "timeout": 5, "consecutive_fails": 1}, "check")
    contains(made.http_config, {"path": "/health", "method": "GET", "expected_codes": ["200", "3xx"], "header": {"Host": ["example.com"]}}, "http")
    same(checks.get(made.id, zone_id=ZONE), made, "what was made")
    assert made.id in [one.id for one in checks.list(zone_id=ZONE)], "not in the list"
    # Every change of version 4 names and addresses the check again.
    named = {"zone_id": ZONE, "name": f"typed-{RUN}", "address": "192.0.2.1"}
    changed = checks.edit(made.id, **named, description="changed")
    contains(changed, {"description": "changed", "type": "HTTPS", "suspended": True}, "edited check")
    replaced = checks.update(made.id, **named, type="TCP", suspended=True, tcp_config={"method": "connection_established", "port": 443})
    contains(replaced, {"type": "TCP", "description": "", "status": "suspended"}, "replaced check")
    same(replaced.tcp_config.port, 443, "port")
    with refused(cloudflare.BadRequestError, told, 1002, "/address"):
        checks.create(zone_id=ZONE, name="bad", address="not an address")
    same(checks.delete(made.id, zone_id=ZONE).id, made.id, "deleted id")
    with refused(cloudflare.NotFoundError, told, 1001):
        checks.get(made.id, zone_id=ZONE)


def a_verdict_on_a_health_check(cf):
    pool = next(pool for pool in cf.load_balancers.pools.list(account_id=ACCOUNT) if pool.name == "shop")
    origin = pool.origins[0]
    settings = {"zone_id": ZONE, "name": f"seen-{RUN}", "address": origin.address, "type": "TCP"}
    settings["tcp_config"] = {"method": "connection_established", "port": origin.port}
    made = cf.healthchecks.create(**settings, interval=5)
    deadline = time.monotonic() + 60
    while (seen := cf.healthchecks.get(made.id, zone_id=ZONE)).status == "unknown":
        assert time.monotonic() < deadline, f"no verdict: {seen}"
        time.sleep(0.2)
    contains(seen, {"status": "healthy", "failure_reason": "No failures"}, "check")
    cf.healthchecks.delete(made.id, zone_id=ZONE)
    previews = cf.healthchecks.previews
    begun = previews.create(**settings)
    same(previews.get(begun.id, zone_id=ZONE).name, f"seen-{RUN}", "name of the preview")
    same(previews.delete(begun.id, zone_id=ZONE).id, begun.id, "deleted preview")
    with refused(cloudflare.NotFoundError, told, 1001):
        previews.get(begun.id, zone_id=ZONE)
