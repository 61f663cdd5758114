"""SIGKILL of any process at any step: an answer, an error or the end of the connection within a second; then life goes on."""

import json
import os
import random
import re
import socket
import time

import pytest

from harness import ROOT, Gone, alive, kill, wait_for

pytestmark = pytest.mark.root

SECOND = 1.0
ROUNDS = 200


@pytest.fixture
def agent(start, folder):
    (folder / "data").write_bytes(bytes(range(256)) * 4096)
    return start("open")


def answer_or_end(client):
    """One reply, or None at the end of the connection. Silence for a second fails the test.

    A front that dies within a reply leaves a broken line; its successor ends the line and sends an error.
    """
    try:
        line = client.line(timeout=SECOND)
        try:
            return json.loads(line)
        except ValueError:
            error = client.reply(timeout=SECOND)
            assert "error" in error
            return error
    except Gone:
        return None
    except socket.timeout:
        pytest.fail("silence")


def requests(folder, number):
    """Requests of each kind, with and without a worker, with bulk in and out."""
    path = f"{folder}/new{number}"
    return [("guest-ping", None), ("guest-get-osinfo", None), ("guest-get-fsinfo", None),
            ("guest-file-open", {"path": path, "mode": "w"}), ("guest-file-open", {"path": f"{folder}/data"})]


def bulk(client, folder):
    """Handles to read and write by; new ones when the worker that held them is gone."""
    return client.open(folder / "data"), client.open(folder / "sink", "w")


def send_one(client, dice, folder, number, handles):
    choice = dice.randrange(7)
    if choice == 5:
        request = {"execute": "guest-file-read", "arguments": {"handle": handles[0], "count": 1000000}}
    elif choice == 6:
        request = {"execute": "guest-file-write", "arguments": {"handle": handles[1], "buf-b64": "QUJD" * 50000}}
    else:
        command, arguments = requests(folder, number)[choice]
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
    client.send(json.dumps(request).encode())
    return request


def next_request_works(agent, client):
    """On this connection if it lived, else on a new one. A living one has no reply too many: each that comes before
    the sync's would be one, since every request so far is answered."""
    try:
        assert client.sync(timeout=SECOND) == []
        return client
    except (Gone, OSError):
        client.close()
    client = agent.client()
    client.sync(timeout=5)
    return client


def test_200_random_rounds(agent, folder):
    dice = random.Random(2024)
    client = agent.client()
    created = set()
    roles = ["front", "info", "fs", "opener", "storage", "audit"]
    for number in range(ROUNDS):
        handles = bulk(client, folder)
        victims = agent.processes(roles[number % len(roles)])
        request = send_one(client, dice, folder, number, handles)
        time.sleep(dice.random() * 0.003)
        for row in victims:
            kill(row["pid"])
        reply = answer_or_end(client)
        if reply and "return" in reply and request["execute"] == "guest-file-open":
            created.add(request["arguments"]["path"])
        client = next_request_works(agent, client)
        client = recover(agent, client)
    client.close()
    expect_records(agent, {path for path in created if "/new" in path}, folder)


def recover(agent, client):
    """A worker that died too often is held back for a moment: wait until one works again."""
    def works():
        try:
            return all("return" in client.call(c, timeout=SECOND) for c in ("guest-get-host-name",)) \
                and "return" in client.call("guest-file-open", {"path": "/dev/null", "mode": "r+"}, timeout=SECOND)
        except (Gone, OSError):
            return False
    wait_for(works, 10, "workers to come back")
    return client


def expect_records(agent, created, folder):
    """No act without its record: every file that exists now was announced first."""
    existing = {str(path) for path in folder.glob("new*")}
    assert created <= existing
    wait_for(lambda: existing <= {row.get("obj") for row in agent.audit("act")}, 10, "records of all acts")
    agent.verify()


@pytest.mark.parametrize("role", ["front", "fs", "info", "storage", "audit", "opener"])
def test_idle_process_killed(agent, folder, role):
    with agent.client() as client:
        bulk(client, folder)
        client.ok("guest-get-osinfo")
        client.ok("guest-get-disks")
        rows = agent.processes(role)
        assert rows
        for row in rows:
            kill(row["pid"])
            wait_for(lambda: row["pid"] not in agent.pids(), 5, "the process to go")
        client = next_request_works(agent, client)
        recover(agent, client)
        wait_for(lambda: "return" in client.call("guest-get-disks", timeout=SECOND), 10, "storage")
        assert sum(row["restarts"] for row in agent.status()["processes"] if row["role"] == role) >= 1


def test_idle_front_killed_keeps_the_connection(agent):
    """Nothing was owed: the successor takes the connection over."""
    with agent.client() as client:
        client.ok("guest-ping")
        kill(agent.pid("front"))
        assert client.call("guest-ping", timeout=SECOND) == {"return": {}}


def state_field(name):
    """Where a number of the state page lies."""
    text = (ROOT / "protocol/wire/boot.h").read_text().split("struct bh_state {")[1].split("};")[0]
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    at = 0
    for size, names in re.findall(r"uint(32|64)_t ([^;]*);", text):
        for found in names.split(","):
            width = int(size) // 8
            at += -at % width
            if found.strip() == name:
                return at, width
            at += width
    raise AssertionError(f"struct bh_state has no {name}")


def write_state(agent, role, name, value):
    """Has a process leave this on its page. Found through its own descriptor for it."""
    at, width = state_field(name)

    def write():
        try:
            with open(f"/proc/{agent.pid(role)}/fd/6", "r+b", buffering=0) as page:
                return os.pwrite(page.fileno(), value.to_bytes(width, "little"), at) == width
        except FileNotFoundError:  # it was the one before, and has ended
            return False
    wait_for(write, 5, "the state page to be found")


def test_front_killed_with_bytes_under_way_ends_the_connection(agent):
    """Nobody knows how much of a reply went out: an error for it might be one reply too many."""
    for name in ("owed", "unsettled"):
        write_state(agent, "front", name, 1)
        with agent.client() as client:
            assert client.sync() == [], "a new connection owes nothing"
    with agent.client() as client:
        client.ok("guest-ping")
        write_state(agent, "front", "owed", 1)
        write_state(agent, "front", "unsettled", 1)
        kill(agent.pid("front"))
        with pytest.raises(Gone):
            client.line(timeout=SECOND)
    with agent.client() as client:
        assert client.sync() == []
        write_state(agent, "front", "owed", 1)
        kill(agent.pid("front"))
        assert "error" in client.reply(timeout=SECOND), "what is known to be owed is answered"
        assert client.sync() == []


def test_handles_survive_a_killed_front(agent, folder):
    with agent.client() as client:
        handle = client.open(folder / "data")
        kill(agent.pid("front"))
        client = next_request_works(agent, client)
        assert client.read(handle, 3) == (b"\0\1\2", False)


def test_killed_supervisor(agent, folder):
    """The connection is closed, no process is left, and a restart on the same path works."""
    for step in range(5):
        client = agent.client()
        handles = bulk(client, folder)
        if step:
            client.send(json.dumps({"execute": "guest-file-read",
                                    "arguments": {"handle": handles[0], "count": 1000000}}).encode())
            time.sleep(0.0005 * step)
        family = agent.pids()
        agent.process.kill()
        agent.process.wait()
        end = time.monotonic() + SECOND
        with pytest.raises(Gone):
            while time.monotonic() < end:
                client.line(timeout=SECOND)
        wait_for(lambda: not any(alive(*row) for row in family.items()), SECOND, "all processes to end")
        client.close()
        agent.start()
        with agent.client() as client:
            client.ok("guest-get-host-name")
    agent.verify()


def test_stopped_worker_meets_its_deadline_not_the_front(agent):
    """A worker that hangs holds up its own request only until 0xFF says so."""
    import signal
    with agent.client() as client:
        client.ok("guest-get-host-name")
        pid = agent.pid("info")
        os.kill(pid, signal.SIGSTOP)
        try:
            client.send(b'{"execute":"guest-get-osinfo"}')
            time.sleep(0.05)
            start = time.monotonic()
            client.send(b'\xff{"execute":"guest-sync-delimited","arguments":{"id":5}}')
            while not client.line(timeout=SECOND).startswith(b"\xff"):
                pass
            assert time.monotonic() - start < SECOND
        finally:
            kill(pid, signal.SIGCONT)
        client.ok("guest-get-osinfo")
