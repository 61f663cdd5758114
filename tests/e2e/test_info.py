"""sync, info and the inventory commands of this build against what the system itself says."""

import json
import os
import pathlib
import re
import socket
import time

import pytest

import counters
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


def numbered(folder, word):
    return sorted(int(name[len(word):]) for name in os.listdir(folder) if re.fullmatch(word + "[0-9]+", name))


def text(path, default=None):
    try:
        return pathlib.Path(path).read_text().strip()
    except FileNotFoundError:
        return default


def test_vcpus(client):
    folder = "/sys/devices/system/cpu"
    want = []
    for number in numbered(folder, "cpu"):
        online = text(f"{folder}/cpu{number}/online")
        want.append({"logical-id": number, "online": online != "0", "can-offline": online is not None})
    assert client.ok("guest-get-vcpus") == want and want
    assert client.ok("guest-get-vcpus") == want, "the second time, from what is kept open"


def test_memory_blocks(client):
    folder = "/sys/devices/system/memory"
    got = client.ok("guest-get-memory-blocks")
    if not os.path.isdir(folder):
        assert got == [] and client.error("guest-get-memory-block-info")
        return
    assert got == [{"phys-index": number, "online": text(f"{folder}/memory{number}/state").startswith("online"),
                    "can-offline": text(f"{folder}/memory{number}/removable", "0") == "1"}
                   for number in numbered(folder, "memory")]
    assert client.ok("guest-get-memory-block-info") == {"size": int(text(folder + "/block_size_bytes"), 16)}


@pytest.mark.parametrize("command", counters.READ)
def test_counters(client, command):
    before, got, after = counters.READ[command](), client.ok(command), counters.READ[command]()
    rows = [counters.split(command, row) for row in got]
    assert [key for key, _ in rows] == list(before) and rows
    for key, values in rows:
        assert not counters.outside(values, before[key], after[key]), key
    assert command != "guest-get-cpustats" or all(row["type"] == "linux" for row in got)


def test_load(client):
    """Unrounded, where /proc/loadavg has two decimals; the kernel changes it every five seconds."""
    def rounded():
        return [float(word) for word in open("/proc/loadavg").read().split()[:3]]

    for _ in range(20):
        before, got, after = rounded(), client.ok("guest-get-load"), rounded()
        assert set(got) == {"load1m", "load5m", "load15m"}
        if before == after:
            assert [got["load1m"], got["load5m"], got["load15m"]] == pytest.approx(before, abs=0.01)
            assert all(value * 65536 == int(value * 65536) for value in got.values()), "no digit was lost on the way"
            return
    pytest.fail("the load did not stand still for one request in twenty")


@pytest.mark.root
def test_nothing_else_of_proc_and_sys(start):
    """The info worker sees the files that it reads, and nothing beside them."""
    agent = start("standard")
    with agent.client() as client:
        client.ok("guest-get-vcpus")
        root = f"/proc/{agent.pid('info')}/root"
        assert sorted(os.listdir(root + "/proc")) == ["diskstats", "self", "stat"]
        assert sorted(os.listdir(root + "/proc/self")) == ["fd", "net"]
        assert sorted(os.listdir(root + "/proc/self/net")) == ["ipv6_route", "route"]
        assert os.listdir(root + "/sys") == ["devices"] and os.listdir(root + "/sys/devices") == ["system"]
        assert set(os.listdir(root + "/sys/devices/system")) <= {"cpu", "memory"}


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
                 "guest-get-host-name", "guest-get-osinfo", "guest-get-timezone", "guest-get-vcpus",
                 "guest-get-memory-blocks", "guest-get-memory-block-info", "guest-get-cpustats", "guest-get-diskstats",
                 "guest-get-load", "guest-get-users", "guest-network-get-interfaces", "guest-network-get-route"):
        assert rows[name]["enabled"] is True
    for name in ("open", "close", "read", "write", "seek", "flush"):
        assert rows["guest-file-" + name]["enabled"] is False, "standard grants no files"


def test_not_granted_is_command_not_found(client):
    kind, text, _, _ = client.error("guest-file-open", {"path": "/etc/hostname"})
    assert kind == "CommandNotFound" and "has been disabled" in text
    kind, text, _, _ = client.error("guest-frobnicate")
    assert kind == "CommandNotFound" and text == "The command guest-frobnicate has not been found"
