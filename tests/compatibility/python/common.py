"""What the checks of every client share: where the server is, and how a refusal is told from an accident."""

import contextlib
import os
import uuid

URL = os.environ["QUORATE_URL"]
TOKEN = os.environ["QUORATE_TOKEN"]
READ_ONLY_TOKEN = os.environ["QUORATE_READ_ONLY_TOKEN"]
# A token that is asked with more often than a client should.
HASTY_TOKEN = os.environ["QUORATE_HASTY_TOKEN"]
REQUESTS_MAX = int(os.environ["QUORATE_REQUESTS_MAX"])
# What clients sent before there were tokens.
EMAIL, KEY = os.environ["QUORATE_EMAIL"], os.environ["QUORATE_KEY"]
# An account that may have one monitor.
SMALL_ACCOUNT, SMALL_TOKEN = os.environ["QUORATE_SMALL_ACCOUNT_ID"], os.environ["QUORATE_SMALL_TOKEN"]
ACCOUNT = os.environ["QUORATE_ACCOUNT_ID"]
ZONE = os.environ["QUORATE_ZONE_ID"]
ZONE_NAME = os.environ["QUORATE_ZONE_NAME"]
ABSENT = "0" * 32

# A name that no other run of these checks has used on this server.
RUN = uuid.uuid4().hex[:8]


def same(found, expected, what):
    assert found == expected, f"{what}: {found!r}, not {expected!r}"


def contains(found, expected, what):
    """Each attribute or key of `expected` is there with its value."""
    for name, value in expected.items():
        there = found.get(name) if isinstance(found, dict) else getattr(found, name)
        same(there, value, f"{what}.{name}")


@contextlib.contextmanager
def refused(kind, describe, code, pointer=None):
    """The block ends with an error of exactly this class, whose first entry has this code and pointer."""
    try:
        yield
    except kind as error:
        same(type(error), kind, "class of the error")
        found_code, found_pointer = describe(error)
        same(found_code, code, f"code of {error}")
        if pointer is not None:
            same(found_pointer, pointer, f"pointer of {error}")
    else:
        raise AssertionError(f"not refused with {kind.__name__} {code}")
