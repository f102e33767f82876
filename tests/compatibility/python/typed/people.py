"""Zones, accounts, and who asks: tokens, and the pair of address and key that is older than they are."""

import cloudflare

from common import ACCOUNT, EMAIL, KEY, RUN, ZONE, ZONE_NAME, contains, refused, same

from .client import client, told


def zones_and_accounts(cf):
    same([zone.id for zone in cf.zones.list(name=ZONE_NAME)], [ZONE], "zones of that name")
    zone = cf.zones.get(zone_id=ZONE)
    contains(zone, {"id": ZONE, "name": ZONE_NAME, "status": "active", "paused": False, "type": "full"}, "zone")
    same(zone.account.id, ACCOUNT, "account of the zone")
    assert ACCOUNT in [account.id for account in cf.accounts.list()], "not in the list"
    same(cf.accounts.get(account_id=ACCOUNT).id, ACCOUNT, "account")
    same(cf.user.tokens.verify().status, "active", "status of the token")


def a_key_pair(_):
    old = client(api_email=EMAIL, api_key=KEY)
    made = old.load_balancers.monitors.create(account_id=ACCOUNT, type="http", expected_codes="200", description=RUN)
    assert made.id in [one.id for one in old.load_balancers.monitors.list(account_id=ACCOUNT)], "not in the list"
    same(old.load_balancers.monitors.delete(made.id, account_id=ACCOUNT).id, made.id, "deleted id")
    with refused(cloudflare.PermissionDeniedError, told, 9103):
        client(api_email=EMAIL, api_key="0" * 37).load_balancers.monitors.list(account_id=ACCOUNT)
    with refused(cloudflare.BadRequestError, told, 6003):
        client(api_email=EMAIL, api_key="short").load_balancers.monitors.list(account_id=ACCOUNT)
