"""The client, and what its classes say that it can do."""

import inspect

from cloudflare import Cloudflare

from common import TOKEN, URL
from recorded import Recorded

# The resources that are about load balancing, with all that is below them.
ROOTS = ["load_balancers", "healthchecks"]


def client(**options):
    # An answer that does not fit the client's types is an error, and nothing is tried twice.
    options = {"base_url": URL, "max_retries": 0, "_strict_response_validation": True, **options}
    if "api_email" not in options:
        options = {"api_token": TOKEN, **options}
    return Cloudflare(**options)


def recorded(answered):
    return Recorded(client(), is_resource, answered)


def is_resource(thing):
    return type(thing).__module__.startswith("cloudflare.resources")


def methods():
    """`load_balancers.monitors.create` and the rest, read off the classes of the client."""
    return [name for root in ROOTS for name in methods_of(getattr(client(), root), root)]


def methods_of(resource, path):
    for name in dir(type(resource)):
        # The same methods again, with answers in other wrappings.
        if name.startswith(("_", "with_")):
            continue
        if inspect.isfunction(getattr(type(resource), name)):
            yield f"{path}.{name}"
        elif is_resource(getattr(resource, name)):
            yield from methods_of(getattr(resource, name), f"{path}.{name}")


def told(error):
    """Code and pointer of the first error in a body."""
    first = error.body["errors"][0]
    return first["code"], (first.get("source") or {}).get("pointer")
