"""sync, info and the inventory commands of this build against what the system itself says."""

import json
import os
import socket
import time

import pytest

from harness import ROOT


@pytest.fixture
def client(start):
    with start("standard").client() as connection:
        yield connection


def test_host_name(client):
    assert client.ok("guest-get-host-name") == {"host-name": socket.gethostname()}


def test_time(client):
    before, got, after = time.time_ns(), client.ok("guest-get-time"), time.time_ns()
    assert before - 1000 <= got <= after and got % 1000 == 0


def test_timezone(client):
    now = time.localtime()
    assert client.ok("guest-get-timezone") == {"zone": now.tm_zone, "offset": now.tm_gmtoff}


def test_osinfo(client):
    got, uname = client.ok("guest-get-osinfo"), os.uname()
    assert (got["kernel-release"], got["kernel-version"], got["machine"]) == (uname.release, uname.version, uname.machine)
    with open("/etc/os-release") as file:
        for line in file:
            key, _, value = line.strip().partition("=")
            name = {"ID": "id", "NAME": "name", "PRETTY_NAME": "pretty-name", "VERSION": "version",
                    "VERSION_ID": "version-id", "VARIANT": "variant", "VARIANT_ID": "variant-id"}.get(key)
            if name:
                assert got[name] == value.strip("\"'")


def test_info_lists_what_this_build_serves(client):
    schema = json.loads((ROOT / "protocol" / "schema.json").read_text())
    got = client.ok("guest-info")
    assert got["version"] == schema["level"]
    rows = {row["name"]: row for row in got["supported_commands"]}
    assert len(rows) == len(got["supported_commands"])
    assert set(rows) <= set(schema["commands"])
    for row in rows.values():
        assert set(row) == {"enabled", "name", "success-response"}
    for name in ("guest-sync", "guest-sync-delimited", "guest-ping", "guest-info", "guest-get-time",
                 "guest-get-host-name", "guest-get-osinfo", "guest-get-timezone"):
        assert rows[name]["enabled"] is True
    for name in ("open", "close", "read", "write", "seek", "flush"):
        assert rows["guest-file-" + name]["enabled"] is False, "standard grants no files"


def test_not_granted_is_command_not_found(client):
    kind, text, _, _ = client.error("guest-file-open", {"path": "/etc/hostname"})
    assert kind == "CommandNotFound" and "has been disabled" in text
    kind, text, _, _ = client.error("guest-frobnicate")
    assert kind == "CommandNotFound" and text == "The command guest-frobnicate has not been found"
