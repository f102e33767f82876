"""Load balancers, of a zone and of the account."""

import cloudflare

from common import ACCOUNT, RUN, ZONE, ZONE_NAME, contains, refused, same

from .client import told


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
    same([one.id for one in cf.load_balancers.list(account_id=ACCOUNT)], [made.id], "those of the account")
    assert made.id not in [one.id for one in cf.load_balancers.list(zone_id=ZONE)], "it is in no zone"
    contains(cf.load_balancers.edit(made.id, account_id=ACCOUNT, description="changed"), {"description": "changed", **body}, "edited lb")
    contains(cf.load_balancers.update(made.id, account_id=ACCOUNT, **body), {"description": None, **body}, "replaced lb")
    same(cf.load_balancers.delete(made.id, account_id=ACCOUNT).id, made.id, "deleted id")
    cf.load_balancers.pools.delete(pool.id, account_id=ACCOUNT)
