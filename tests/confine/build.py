"""Where the tests of confinement find what was built."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", ROOT / "build")).resolve()
FILTERGEN = BUILD / "policy/confine/bh-filtergen"
PROCESSES = ["audit", "exec", "front", "fs", "info", "opener", "policyc", "smart", "spool", "storage", "thaw"]
SANDBOXES = ["diag", "minimal", "no_net", "no_unix"]
PROFILES = [*PROCESSES, *SANDBOXES]


def filtergen(*args):
    return subprocess.run([FILTERGEN, *args], check=True, capture_output=True, text=True).stdout
