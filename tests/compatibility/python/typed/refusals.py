"""Each status of a refusal, and the class of error that the client makes of it."""

import cloudflare

from common import ABSENT, ACCOUNT, HASTY_TOKEN, READ_ONLY_TOKEN, REQUESTS_MAX, SMALL_ACCOUNT, SMALL_TOKEN, refused, same

from .client import client, told


def statuses(cf):
    monitors, unknown = cf.load_balancers.monitors, client(api_token="unknown")
    with refused(cloudflare.BadRequestError, told, 1002, "/retries"):
        monitors.create(account_id=ACCOUNT, type="http", retries=6)
    with refused(cloudflare.AuthenticationError, told, 1000):
        unknown.user.tokens.verify()
    with refused(cloudflare.PermissionDeniedError, told, 9109):
        unknown.load_balancers.monitors.list(account_id=ACCOUNT)
    with refused(cloudflare.PermissionDeniedError, told, 9109):
        monitors.list(account_id=ABSENT)
    with refused(cloudflare.NotFoundError, told, 1001):
        monitors.get(ABSENT, account_id=ACCOUNT)
    with refused(cloudflare.NotFoundError, told, 7003):
        monitors.get("not-an-id", account_id=ACCOUNT)
    in_use = next(pool for pool in cf.load_balancers.pools.list(account_id=ACCOUNT) if pool.name == "shop").monitor
    # The client has no class for 412, and does not try again.
    with refused(cloudflare.APIStatusError, told, 1005):
        client(max_retries=2).load_balancers.monitors.delete(in_use, account_id=ACCOUNT)


def permissions(_):
    reader = client(api_token=READ_ONLY_TOKEN).load_balancers.monitors
    reader.list(account_id=ACCOUNT)
    with refused(cloudflare.PermissionDeniedError, told, 10000):
        reader.create(account_id=ACCOUNT, type="http")


def quotas(_):
    monitors = client(api_token=SMALL_TOKEN).load_balancers.monitors
    only = monitors.create(account_id=SMALL_ACCOUNT, type="http")
    with refused(cloudflare.PermissionDeniedError, told, 1004):
        monitors.create(account_id=SMALL_ACCOUNT, type="http")
    monitors.delete(only.id, account_id=SMALL_ACCOUNT)


def too_many_requests(_):
    regions = client(api_token=HASTY_TOKEN).load_balancers.regions
    asked = 0
    with refused(cloudflare.RateLimitError, told, 971):
        # It refills while they are asked.
        while asked < 4 * REQUESTS_MAX:
            regions.get("WEU", account_id=ACCOUNT)
            asked += 1
    assert asked >= REQUESTS_MAX, f"refused after {asked} requests"
    # With its own number of tries the client waits for as long as it is told to.
    patient = client(api_token=HASTY_TOKEN, max_retries=cloudflare.DEFAULT_MAX_RETRIES)
    for _ in range(3):
        found = patient.load_balancers.regions.get("WEU", account_id=ACCOUNT)
        same(found["regions"][0]["region_code"], "WEU", "region after a wait")
