"""What libvirt, Proxmox, KubeVirt and Ansible send, byte for byte (traces/), and what they need to read back.

The players hold what each client insists on: framing, order, timeouts, and which members of an answer must be there.
A line that would change the machine it runs on is not replayed here once the agent serves it: tests/vm is its place.
"""

import base64
import itertools
import json
import pathlib
import re
import time

import pytest

from harness import KIB, MIB, Client, Gone

TRACES = pathlib.Path(__file__).with_name("traces")
LINE = re.compile(r"^(\d+)\s+(\S{3})\s+(\{.*\})$")
PROFILES = {"open": "o", "standard": "s", "rhel": "r"}
SILENT = {"guest-shutdown", "guest-suspend-ram", "guest-suspend-disk", "guest-suspend-hybrid"}
NEVER_HERE = SILENT | {"guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list", "guest-fstrim", "guest-set-time", "guest-set-vcpus",
                       "guest-set-memory-blocks", "guest-set-user-password", "guest-ssh-add-authorized-keys",
                       "guest-ssh-remove-authorized-keys"}
# Commands that this build does not have yet. Each must be answered as unknown, and leave this list when it comes.
NOT_SERVED = NEVER_HERE - {"guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list", "guest-fstrim"} | {
    "guest-ssh-get-authorized-keys"}
LIBVIRT_REPLY_MAX = 10 * MIB
KUBEVIRT_TEN = {"guest-ping", "guest-get-time", "guest-info", "guest-shutdown", "guest-network-get-interfaces", "guest-get-fsinfo",
                "guest-get-host-name", "guest-get-users", "guest-get-timezone", "guest-get-osinfo"}
ANSIBLE_SIX = {"guest-exec", "guest-exec-status", "guest-file-close", "guest-file-open", "guest-file-read", "guest-file-write"}

CONTENT = bytes(range(256)) * (60 * KIB // 256)
BLOCK = b"#!/usr/bin/python3\n" + b"x" * (64 * KIB - 19)


def lines_of(name):
    """(timeout, profiles, wire line) of a trace."""
    rows = []
    for text in (TRACES / f"{name}.trace").read_text().splitlines():
        if text and not text.startswith("#"):
            match = LINE.match(text)
            assert match, text
            rows.append((int(match[1]), match[2], match[3]))
    assert rows
    return rows


class Session:
    """Fills in what earlier answers said."""

    def __init__(self, folder):
        self.values = {"$FOLDER": str(folder), "$HANDLE": "0", "$PID": "0",
                       "$CONTENT": base64.encodebytes(CONTENT).decode().replace("\n", "\\n"),
                       "$BLOCK": base64.b64encode(BLOCK).decode()}

    def fill(self, line):
        return re.sub(r"\$[A-Z]+", lambda match: self.values[match[0]], line)

    def learn(self, command, reply):
        if command == "guest-file-open" and "return" in reply:
            self.values["$HANDLE"] = str(reply["return"])
        if command == "guest-exec" and "return" in reply:
            self.values["$PID"] = str(reply["return"]["pid"])


# How each client sends a line and reads the answer. An answer is the object; None where there is none.

class Libvirt:
    """A connection that stays; a sync before the first command; lines that end with LF, at most 10 MiB each."""

    trace = "libvirt"

    def __init__(self, path, connect=Client):
        self.connection = connect(path)
        number = int(time.time() * 1000)
        self.connection.send(b'{"execute":"guest-sync", "arguments":{"id":%d}}\n' % number)
        assert self.read(5) == {"return": number}

    def read(self, timeout):
        line = self.connection.line(timeout)
        assert len(line) < LIBVIRT_REPLY_MAX and b"\xff" not in line
        reply = json.loads(line)
        assert isinstance(reply, dict) and ("return" in reply) != ("error" in reply)
        return reply

    def call(self, line, timeout, silent):
        self.connection.send(line.encode() + b"\n")
        if not silent:
            return self.read(timeout)
        self.connection.send(b'{"execute":"guest-sync", "arguments":{"id":1}}\n')
        reply = self.read(timeout)
        if "error" in reply:
            assert self.read(timeout) == {"return": 1}
        return reply if "error" in reply else None

    def close(self):
        self.connection.close()


class KubeVirt(Libvirt):
    """Libvirt's connection; what comes back is written again by libvirt and taken apart with patterns."""

    trace = "kubevirt"
    value = re.compile(r'^\{\s*"return":\s*([{\[].*[}\]])\s*\}$', re.S)
    word = re.compile(r'^\{\s*"return":\s*"(.*)"\s*\}$', re.S)

    def read(self, timeout):
        reply = super().read(timeout)
        if isinstance(reply.get("return"), (dict, list)):
            assert json.loads(self.value.match(json.dumps(reply))[1]) == reply["return"]
        if isinstance(reply.get("return"), str):
            assert self.word.match(json.dumps(reply))[1] == reply["return"]
        return reply


class Ansible(Libvirt):
    trace = "ansible"


class Proxmox:
    """A connection per command and one buffer; nothing is believed but 0xFF and exactly two lines that end in }."""

    trace = "proxmox"
    numbers = itertools.count(1)
    answer = re.compile(rb"^.*\xff([^\n]+\}\r?\n)([^\n]+\}\r?\n)$", re.S)
    only_sync = re.compile(rb"^.*\xff([^\n]+\}\r?\n)$", re.S)

    def __init__(self, path, connect=Client):
        self.path, self.connect = path, connect

    def call(self, line, timeout, silent):
        number = int(f"4711{0}{next(self.numbers)}")
        sync = f'{{"execute":"guest-sync-delimited","arguments":{{"id":{number}}}}}'
        connection = self.connect(self.path, timeout)
        try:
            connection.send(f"{sync}\n{line}\n".encode())
            return self.read(connection, number, timeout, silent)
        finally:
            connection.close()

    def read(self, connection, number, timeout, silent):
        data, end = b"", time.monotonic() + (2 if silent else timeout)
        while time.monotonic() < end:
            match = self.answer.match(data)
            if match:
                assert json.loads(match[1]) == {"return": number}
                return json.loads(match[2])
            connection.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                piece = connection.socket.recv(MIB)
            except TimeoutError:
                break
            if not piece:
                raise Gone()
            data += piece
        assert silent and self.only_sync.match(data), data[:200]
        return None

    def close(self):
        pass


# What must be in the answers.

def numbers(row, *names):
    return all(isinstance(row[name], (int, float)) and not isinstance(row[name], bool) for name in names)


def listed(got, check):
    return isinstance(got, list) and all(check(row) for row in got)


def is_address(row):
    return row["ip-address-type"] in ("ipv4", "ipv6") and isinstance(row["ip-address"], str) and numbers(row, "prefix")


def is_interface(row):
    return isinstance(row["name"], str) and all(is_address(address) for address in row.get("ip-addresses", []))


def is_cpu(row):
    return row["logical-id"] >= 0 and {row["online"], row["can-offline"]} <= {True, False} and \
        (row["online"] or row["can-offline"])


def is_disk_place(row):
    controller = row["pci-controller"]
    return numbers(row, "bus", "target", "unit") and numbers(controller, "domain", "bus", "slot", "function")


def is_file_system(row):
    return all(isinstance(row[name], str) for name in ("name", "mountpoint", "type")) and \
        all(is_disk_place(disk) for disk in row["disk"]) and \
        all(isinstance(row.get(name, 0), int) for name in ("used-bytes", "total-bytes"))


def is_info(got):
    keys = {"enabled", "name", "success-response"}
    return re.fullmatch(r"\d+\.\d+\.\d+", got["version"]) and all(set(row) == keys for row in got["supported_commands"])


NEEDS = {
    "guest-ping": lambda got: got == {},
    "guest-info": is_info,
    "guest-get-time": lambda got: got > 10**18,
    "guest-get-host-name": lambda got: got["host-name"],
    "guest-get-timezone": lambda got: isinstance(got["offset"], int),
    "guest-get-osinfo": lambda got: all(isinstance(value, str) for value in got.values()) and got["id"],
    "guest-get-users": lambda got: listed(got, lambda row: row["user"] and numbers(row, "login-time")),
    "guest-network-get-interfaces": lambda got: got and listed(got, is_interface),
    "guest-network-get-route": lambda got: listed(got, lambda row: row["version"] in (4, 6) and row["iface"]),
    "guest-get-vcpus": lambda got: got and listed(got, is_cpu),
    "guest-get-load": lambda got: numbers(got, "load1m", "load5m", "load15m"),
    "guest-get-cpustats": lambda got: got and listed(got, lambda row: row["type"] == "linux" and numbers(row, "cpu", "user")),
    "guest-get-diskstats": lambda got: listed(got, lambda row: row["name"] and numbers(row, "major", "minor") and row["stats"]),
    "guest-get-memory-blocks": lambda got: listed(got, lambda row: numbers(row, "phys-index") and row["online"] in (True, False)),
    "guest-get-memory-block-info": lambda got: got["size"] > 0,
    "guest-get-fsinfo": lambda got: listed(got, is_file_system),
    "guest-get-disks": lambda got: listed(got, lambda row: row["name"] and row["partition"] in (True, False)),
    "guest-fsfreeze-status": lambda got: got == "thawed",
    "guest-fsfreeze-thaw": lambda got: isinstance(got, int),
    "guest-exec": lambda got: got["pid"] > 0,
    "guest-exec-status": lambda got: got["exited"] in (True, False),
    "guest-ssh-get-authorized-keys": lambda got: isinstance(got["keys"], list),
    "guest-file-open": lambda got: isinstance(got, int) and 0 < got < 2**53,
    "guest-file-close": lambda got: got == {},
    "guest-file-write": lambda got: got["count"] > 0 and got["eof"] is False,
    "guest-file-seek": lambda got: got["position"] == 0 and got["eof"] is False,
    "guest-file-read": lambda got: len(base64.b64decode(got["buf-b64"], validate=True)) == got["count"],
}
MAY_FAIL = {"guest-get-memory-block-info", "guest-ssh-get-authorized-keys"}  # a guest may have no such thing


def check(command, reply, answers):
    if command in NOT_SERVED:
        assert reply["error"]["class"] == "CommandNotFound" and "has not been found" in reply["error"]["desc"], reply
    elif not answers:
        assert reply["error"]["class"] == "CommandNotFound" and "has been disabled" in reply["error"]["desc"], reply
    elif "error" in reply:
        assert command in MAY_FAIL and reply["error"]["class"] == "GenericError", (command, reply)
    else:
        assert NEEDS[command](reply["return"]), (command, reply)


def replay(player, agent, folder, profile):
    """Plays the whole trace; returns {command: last reply}."""
    session, replies = Session(folder), {}
    with agent.client() as asking:  # what it says itself, whatever the lists above say: a freeze here is the machine's end
        served = {row["name"] for row in asking.ok("guest-info")["supported_commands"]}
    client = player(agent.socket)
    for timeout, profiles, line in lines_of(player.trace):
        command = json.loads(session.fill(line))["execute"]
        if command in NEVER_HERE and command in served:
            continue
        begun = time.monotonic()
        reply = client.call(session.fill(line), timeout, command in SILENT)
        assert time.monotonic() - begun < timeout
        check(command, reply, PROFILES[profile] in profiles)
        session.learn(command, reply)
        replies[command] = reply
    client.close()
    return replies


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("player", [Libvirt, Proxmox, KubeVirt, Ansible])
def test_trace(start, folder, player, profile):
    replies = replay(player, start(profile), folder, profile)
    assert "guest-info" in replies


def test_what_is_not_served_is_not_listed(start):
    with start("open").client() as client:
        names = {row["name"] for row in client.ok("guest-info")["supported_commands"]}
    assert not names & NOT_SERVED
    asked = {json.loads(Session("/").fill(line))["execute"] for player in (Libvirt, Proxmox, KubeVirt, Ansible)
             for _, _, line in lines_of(player.trace)}
    assert asked <= names | NOT_SERVED and NOT_SERVED <= asked | {"guest-set-memory-blocks"}


def test_what_went_through_the_clients_is_whole(start, folder):
    """Proxmox's wrapped base64 and Ansible's two blocks, as they lie on the disk."""
    agent = start("open")
    replay(Proxmox, agent, folder, "open")
    assert (folder / "proxmox").read_bytes() == CONTENT
    replies = replay(Ansible, agent, folder, "open")
    assert (folder / "AnsiballZ_setup.py").read_bytes() == BLOCK * 2
    assert replies["guest-file-read"]["return"] == {"count": 0, "buf-b64": "", "eof": True}


@pytest.mark.parametrize("profile", PROFILES)
def test_kubevirt_finds_what_it_calls_supported(start, profile):
    with start(profile).client() as client:
        rows = {row["name"]: row for row in client.ok("guest-info")["supported_commands"]}
    assert {name for name in KUBEVIRT_TEN - NOT_SERVED if not rows[name]["enabled"]} == set()


def test_ansible_finds_its_six_entries(start):
    with start("open").client() as client:
        rows = client.ok("guest-info")["supported_commands"]
    for name in ANSIBLE_SIX - NOT_SERVED:
        assert {"enabled": True, "name": name, "success-response": True} in rows
