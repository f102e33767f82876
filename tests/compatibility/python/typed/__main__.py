"""Every load-balancing method of the client, results checked against its own types."""

import importlib.metadata
import time

from recorded import all_answered

from .client import methods, recorded
from .health_checks import a_verdict_on_a_health_check, health_checks
from .load_balancers import load_balancers, load_balancers_of_the_account
from .objects import monitor_groups, monitors, pools
from .people import a_key_pair, zones_and_accounts
from .refusals import permissions, quotas, statuses, too_many_requests
from .views import events, previews, references_and_regions, search

CHECKS = [
    monitors,
    pools,
    load_balancers,
    load_balancers_of_the_account,
    monitor_groups,
    health_checks,
    a_verdict_on_a_health_check,
    previews,
    references_and_regions,
    search,
    events,
    zones_and_accounts,
    a_key_pair,
    statuses,
    permissions,
    quotas,
    too_many_requests,
]

answered = set()
cf = recorded(answered)
# What the older major version does not have yet.
has_groups = "load_balancers.monitor_groups.create" in methods()
checks = [check for check in CHECKS if has_groups or check not in (monitor_groups, load_balancers_of_the_account)]
for check in checks:
    started = time.monotonic()
    check(cf)
    print(f"ok   {check.__name__} ({time.monotonic() - started:.2f} s)")
all_answered(methods(), answered)
print(f"{len(checks)} checks and all {len(methods())} methods passed with cloudflare {importlib.metadata.version('cloudflare')}")
