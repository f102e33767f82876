"""Monitors, pools and monitor groups: made, read, listed, changed, replaced and deleted."""

import datetime

import cloudflare

from common import ACCOUNT, RUN, ZONE_NAME, contains, refused, same

from .client import told


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
    pools.edit(made.id, account_id=ACCOUNT, notification_email="ops@example.com")
    emptied = next(pool for pool in pools.bulk_edit(account_id=ACCOUNT, notification_email="") if pool.id == made.id)
    same(emptied.notification_email, "", "address after it was taken from every pool")
    same(pools.get(made.id, account_id=ACCOUNT), emptied, "what the list of them says")
    health = pools.health.get(made.id, account_id=ACCOUNT)
    same(health.pool_id, made.id, "health of the pool")
    with refused(cloudflare.BadRequestError, told, 1003, "/name"):
        pools.create(account_id=ACCOUNT, name=f"typed-{RUN}", origins=origins[:1])
    with refused(cloudflare.BadRequestError, told, 1002, "/origins/0/address"):
        pools.create(account_id=ACCOUNT, name=f"bad-{RUN}", origins=[{"name": "a", "address": "not an address"}])
    same(pools.delete(made.id, account_id=ACCOUNT).id, made.id, "deleted id")
    cf.load_balancers.monitors.delete(monitor.id, account_id=ACCOUNT)


def monitor_groups(cf):
    monitor = cf.load_balancers.monitors.create(account_id=ACCOUNT, type="http", expected_codes="200")
    member = {"monitor_id": monitor.id, "enabled": True, "monitoring_only": False, "must_be_healthy": True}
    groups = cf.load_balancers.monitor_groups
    made = groups.create(account_id=ACCOUNT, description="group", members=[member])
    same(made.description, "group", "description")
    contains(made.members[0], member, "member")
    same(groups.get(made.id, account_id=ACCOUNT), made, "what was made")
    assert made.id in [one.id for one in groups.list(account_id=ACCOUNT)], "not in the list"
    other = {**member, "must_be_healthy": False}
    changed = groups.edit(made.id, account_id=ACCOUNT, description="changed", members=[other])
    same((changed.description, changed.members[0].must_be_healthy), ("changed", False), "edited group")
    replaced = groups.update(made.id, account_id=ACCOUNT, description="group", members=[member])
    same((replaced.description, replaced.members[0].must_be_healthy), ("group", True), "replaced group")
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
