"""Runs schemathesis over the API's own description.

Which account and zone to work in is given; everything else follows from the description.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

# What a schema alone can judge. Not among them: that every legal body is accepted (names must be unique, objects that are
# named must exist), and that a request without credentials gets 401 or 403 (clients of this API know 400 with code 9106).
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "use_after_free",
    "ensure_resource_availability",
    "unsupported_method",
    "allow_header_conformance",
]

CONFIGURATION = """
[parameters]
account_id = "{account}"
zone_id = "{zone}"
"""

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seconds", type=int, required=True)
parser.add_argument("--seed")
arguments = parser.parse_args()

with tempfile.TemporaryDirectory() as folder:
    configuration = pathlib.Path(folder, "schemathesis.toml")
    configuration.write_text(CONFIGURATION.format(account=os.environ["QUORATE_ACCOUNT_ID"], zone=os.environ["QUORATE_ZONE_ID"]))
    program = pathlib.Path(sys.executable).parent / "schemathesis"
    command = [program, "--config-file", configuration, "run", os.environ["QUORATE_BASE_URL"] + "/openapi.json"]
    command += ["--header", f"Authorization: Bearer {os.environ['QUORATE_TOKEN']}", "--checks", ",".join(CHECKS)]
    command += ["--max-time", str(arguments.seconds), "--request-timeout", "20", "--continue-on-failure", "--no-color"]
    if arguments.seed:
        command += ["--seed", arguments.seed]
    sys.exit(subprocess.run(command, cwd=folder, check=False).returncode)
