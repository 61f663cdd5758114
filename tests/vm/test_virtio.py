"""A real virtio-serial port: who sees it open, what becomes of a host that leaves, and what an agent costs that waits.

The kernel tells the host when the guest opens or closes the port, and libvirt believes it: so a port is opened once and
never let go, whatever becomes of the processes that serve it.
"""

import json
import time

import pytest

from guest import PORT
from harness import MIB, Gone, wait_for
from inside import HOME, PeerInside, has_peer

RECONNECTS = 30
QUICK_RETURNS = 100
AWAY_SECONDS = 10
THROTTLE_SECONDS = 1.2  # QEMU tells of one change of a port a second, the last
REPLUG_SECONDS = 20     # an agent with -r looks every 5 s
BIG = 8 * MIB
FENCES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


@pytest.fixture
def agent(start):
    return start()


def sync_delimited(client, number=4711):
    """Syncs as libvirt does, and returns the lines before the answer. Nothing may be on its line before the 0xFF."""
    client.send(b'\xff{"execute":"guest-sync-delimited","arguments":{"id":%d}}\n' % number)
    answer, before = b'\xff{"return": %d}' % number, []
    while (line := client.line()) != answer:
        assert not line.endswith(answer), f"glued to what was left of another reply: {line[-100:]}"
        before.append(line)
    return before


def answers(guest, timeout=30):
    """As a new host, whatever the last one left behind."""
    with guest.client(timeout) as client:
        sync_delimited(client)
        return client.ok("guest-info")["version"]


def changes(guest):
    """What the host was told of the port since it last asked, when no more is to come."""
    time.sleep(THROTTLE_SECONDS)
    told = guest.qmp.opened()
    guest.qmp.forget()
    return told


def guest_end_is_open(guest):
    """QEMU's own word for it; an event could be lost, this not."""
    tree = guest.qmp.human("info qtree")
    block = tree[tree.index(f'name = "{PORT}"'):]
    line = next(line for line in block.splitlines() if "guest on" in line or "guest off" in line)
    return "guest on" in line


def big_file(guest):
    guest.shell(f"[ -e /tmp/big ] || dd if=/dev/zero of=/tmp/big bs={MIB} count={BIG // MIB} 2>/dev/null")


def ask_for_big_reply(client):
    """A reply of 11 MB is owed from now on."""
    client.sync()
    handle = client.open("/tmp/big")
    client.send(json.dumps({"execute": "guest-file-read", "arguments": {"handle": handle, "count": BIG}}).encode() + b"\n")


# The port as such.

def test_answers(guest, either):
    with guest.client() as client:
        client.sync()
        assert client.ok("guest-ping") == {}
        assert client.ok("guest-get-host-name") == {"host-name": "guest"}
        assert client.ok("guest-get-osinfo")["id"] == "testguest"
        assert client.ok("guest-info")["supported_commands"]


def test_opened_once_and_never_closed(guest, either):
    assert answers(guest)
    assert changes(guest)[-1:] == [True]  # before it, the last agent may have gone
    for number in range(RECONNECTS):
        with guest.client() as client:
            if number % 3 == 0:
                client.sync()
            elif number % 3 == 1:
                client.send(b'{"execute":"guest-ping"}\n')
    assert answers(guest)
    assert changes(guest) == []
    assert guest_end_is_open(guest)


def test_quick_returns_lose_nothing(guest, either):
    """A host that is back at once, as Proxmox is per command: its bytes may overtake the news that the last one left."""
    for _ in range(QUICK_RETURNS):
        with guest.client() as client:
            client.sync()
            assert client.ok("guest-ping") == {}
            assert client.ok("guest-info")


def test_closed_when_the_agent_ends(guest, agent):
    assert answers(guest)
    assert changes(guest)[-1:] == [True]  # before it, the last agent may have gone
    assert agent.stop() == 0
    assert changes(guest) == [False]
    assert not guest_end_is_open(guest)


def test_a_second_agent_is_refused_with_a_sentence(guest, agent):
    assert answers(guest)
    done = guest.shell("mkdir -p /tmp/second; bulkhead --policy open -m virtio-serial -t /tmp/second", check=False)
    assert done.status == 1
    assert "/dev/vport0p2 is held by another" in done.text, done.text
    assert answers(guest)
    assert changes(guest)[-1:] == [True]  # before it, the last agent may have gone


def test_found_by_the_device_s_own_name(guest, start):
    start("-p", "/dev/vport0p2")
    assert answers(guest)


# The port under another name.

def test_a_reload_gives_the_port_another_name(guest, start):
    """The kernel lets it be opened once: the old channel's front must be gone before the new one has it."""
    def policy(name, way):
        return f"policy 1\ncommands 49\nchannel {name} virtio:{way}\nallow @sync, guest-info on {name}\n"

    agent = start(policy=policy("one", PORT))
    with guest.client(30) as client:
        for step in range(8):
            sync_delimited(client)
            name, way = f"{'ab'[step % 2]}{step}", (PORT, "/dev/vport0p2")[step // 2 % 2]
            guest.shell(f"cat >{HOME}/policy <<'END'\n{policy(name, way)}END\nkill -HUP {agent.pid}")
            wait_for(lambda: [row["name"] for row in agent.status()["channels"]] == [name], 10, "the reload")
            start_s = time.monotonic()
            sync_delimited(client)
            assert time.monotonic() - start_s < 4, "it was looked for, not opened"
    assert "cannot" not in agent.log() and "held by" not in agent.log()


# A host that leaves.

def test_leaves_mid_request(guest, either):
    for half in (b'{"execute":"guest-pi', b'{"execute":"guest-file-open","arguments":{"path":"/etc/', b'"', b"\xff{"):
        with guest.client() as client:
            client.sync()
            client.send(half)
            time.sleep(0.1)
        with guest.client() as client:
            before = [line for line in sync_delimited(client) if line]
            assert all("error" in json.loads(line) for line in before)
            assert client.ok("guest-ping") == {}


def test_next_host_starts_anew(guest, agent):
    """What a host left half said is no part of what the next one says: its first request needs no sync."""
    with guest.client() as client:
        client.sync()
        client.send(b'{"execute":"guest-file-open","arguments":{"path":"')
        time.sleep(0.3)
    time.sleep(0.3)
    with guest.client() as client:
        assert client.call("guest-ping") == {"return": {}}


def test_leaves_mid_reply(guest, either):
    big_file(guest)
    for wait in (0, 0.05, 0.5):
        with guest.client() as client:
            ask_for_big_reply(client)
            time.sleep(wait)
            client.socket.recv(1000)
        with guest.client(30) as client:
            before = sync_delimited(client)
            assert len(before) <= 2, [line[:60] for line in before]
            assert client.ok("guest-ping") == {}
    assert guest_end_is_open(guest)


def test_handles_outlive_the_host(guest, agent):
    big_file(guest)
    with guest.client() as client:
        client.sync()
        handle = client.open("/tmp/big")
    with guest.client() as client:
        client.sync()
        assert client.read(handle, 3) == (b"\0\0\0", False)


# What waiting costs.

def woken(agent, seconds):
    """{pid: how often each process was given the processor} over that time."""
    before = agent.switches()
    time.sleep(seconds)
    after = agent.switches()
    assert before.keys() == after.keys()
    return {pid: after[pid] - before[pid] for pid in before}


def test_idle_with_a_host_is_idle(guest, agent):
    with guest.client() as client:
        client.sync()
        client.ok("guest-get-osinfo")
        time.sleep(1)
        assert set(woken(agent, AWAY_SECONDS).values()) == {0}
        assert client.ok("guest-ping") == {}


def test_the_ruler_sees_an_agent_that_does_not_rest(guest, start):
    """qemu-ga looks ten times a second whether a host is there."""
    if not has_peer():
        pytest.skip("qemu-ga is missing (package qemu-guest-agent)")
    agent = start(kind=PeerInside)
    assert answers(guest)
    assert sum(woken(agent, 3).values()) > 10


def test_host_away_after_requests(guest, agent):
    with guest.client() as client:
        client.sync()
        for _ in range(20):
            client.send(b'{"execute":"guest-get-osinfo"}\n')
    time.sleep(1)
    assert set(woken(agent, AWAY_SECONDS).values()) == {0}
    began = time.monotonic()
    assert answers(guest)
    assert time.monotonic() - began < 1, "the agent did not hear that a host had come"


def test_client_that_never_reads(guest, agent):
    big_file(guest)
    with guest.client() as client:
        ask_for_big_reply(client)
        client.send(b'{"execute":"guest-get-osinfo"}\n' * 1000)
        time.sleep(2)
        before = agent.ticks()
        assert before > 0, "the big reply cost nothing: this counts wrongly"
        time.sleep(AWAY_SECONDS)
        assert agent.ticks() - before <= 0.005 * AWAY_SECONDS * 100, "more than 0.5 % of a processor"
    assert answers(guest)


# Out and in again.

@pytest.fixture
def plugged(guest):
    """Whatever the test did: the port is there for the next one."""
    yield
    if f'name = "{PORT}"' not in guest.qmp.human("info qtree"):
        guest.plug()
    wait_for(lambda: guest.shell("ls /dev/vport0p2 2>/dev/null; true"), 10, "the port to be there again")


def test_unplugged_ends_well(guest, agent, plugged):
    assert answers(guest)
    guest.unplug()
    assert agent.ended(10) == 0, agent.log()
    assert agent.stats() == {}


def test_unplugged_with_a_host_attached(guest, agent, plugged):
    with guest.client() as client:
        client.sync()
        guest.unplug()
        with pytest.raises(Gone):
            client.line(10)
    assert agent.ended(10) == 0, agent.log()


def test_replugged_with_retry(guest, start, plugged):
    agent = start("-r")
    assert answers(guest)
    guest.unplug()
    time.sleep(2)
    assert agent.pid in agent.stats(), agent.log()
    guest.qmp.forget()
    guest.plug()
    wait_for(lambda: True in guest.qmp.opened(), REPLUG_SECONDS, "the agent to open the port again")
    assert answers(guest)


def test_waits_for_the_port_with_retry(guest, start, plugged):
    guest.unplug()
    agent = start("-r")
    time.sleep(2)
    assert agent.pid in agent.stats(), agent.log()
    guest.plug()
    assert answers(guest, REPLUG_SECONDS)


def test_no_port_and_no_retry_is_an_error(guest, start, plugged):
    guest.unplug()
    agent = start()
    assert agent.ended(10) == 1
    assert PORT in agent.log()


# Deaths.

def all_roles(guest, client):
    """Each process that there can be works once."""
    client.ok("guest-get-osinfo")
    client.ok("guest-get-disks")
    client.ok("guest-file-close", {"handle": client.open("/etc/passwd")})
    client.ok("guest-file-close", {"handle": client.open("/tmp/new", "w")})


@pytest.mark.parametrize("role", ["front", "info", "fs", "opener", "storage", "audit"])
def test_killed_process_leaves_the_port_open(guest, agent, role):
    with guest.client() as client:
        client.sync()
        all_roles(guest, client)
        assert changes(guest)[-1:] == [True]  # before it, the last agent may have gone
        victim = agent.processes()[role]
        guest.shell(f"kill -9 {victim}")
        wait_for(lambda: victim not in agent.stats(), 5, "the process to end")
        client.sync()
        if role == "opener":  # its death costs the next request, which says so
            assert client.error("guest-file-open", {"path": "/etc/passwd"})[2] == 1401
        all_roles(guest, client)
    assert answers(guest)
    assert changes(guest) == []
    assert guest_end_is_open(guest)


def test_front_killed_mid_reply_ends_the_line(guest, agent):
    """A port cannot be closed to say that something broke: the broken line is ended, and an error follows."""
    big_file(guest)
    with guest.client(30) as client:
        ask_for_big_reply(client)
        client.socket.recv(1000)
        guest.shell(f"kill -9 {agent.processes()['front']}")
        before = [line for line in sync_delimited(client) if line]
        assert "BH1401" in json.loads(before[-1])["error"]["desc"]
        assert client.ok("guest-ping") == {}
    assert guest_end_is_open(guest)


def test_killed_while_the_host_is_away(guest, agent):
    assert answers(guest)
    assert changes(guest)[-1:] == [True]  # before it, the last agent may have gone
    guest.shell(f"kill -9 {agent.processes()['front']}")
    assert answers(guest)
    assert changes(guest) == []


def test_killed_supervisor(guest, start):
    agent = start()
    assert answers(guest)
    family = agent.stats()
    guest.shell(f"kill -9 {agent.pid}")
    wait_for(lambda: not guest.shell(f"ls -d {' '.join(f'/proc/{pid}' for pid in family)} 2>/dev/null; true"), 5,
             "all to end")
    assert not guest_end_is_open(guest)
    start()
    assert answers(guest)


# What the guest's kernel says of them.

def test_fences(guest, agent):
    with guest.client() as client:
        client.sync()
        all_roles(guest, client)
        processes = agent.processes()
        assert set(processes) == {"audit", "front", "info", "fs", "opener", "storage"}
        for role, pid in processes.items():
            status = agent.proc_status(pid)
            assert status["Seccomp"].strip() == "2", role
            assert status["NoNewPrivs"].strip() == "1", role
            if role in ("front", "info", "audit"):
                assert {status[name].strip() for name in FENCES} == {"0" * 16}, role
                assert "0" not in status["Uid"].split(), role
            shares = guest.shell(f"readlink /proc/{pid}/ns/mnt") == guest.shell("readlink /proc/self/ns/mnt")
            assert shares == (role == "storage"), role


def test_the_front_holds_the_port_and_no_other_device(guest, agent):
    with guest.client() as client:
        client.sync()
        links = guest.shell(f"for fd in /proc/{agent.processes()['front']}/fd/*; do readlink $fd; done").split("\n")
    devices = {link for link in links if link.startswith("/") and not link.startswith("/memfd:")}
    assert devices - {"/tmp/agent/log", "/dev/null"} == {"/dev/vport0p2"}
