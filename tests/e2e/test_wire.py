"""What the socket carries: order, ids, 0xFF in every state, pipelining, clients that vanish, hostile input."""

import json
import random
import socket
import threading
import time

import pytest

from harness import KIB, MIB, Gone, memory, wait_for

PING = b'{"execute":"guest-ping"}\n'


@pytest.fixture
def agent(start):
    return start("open")


def flood(client, pieces):
    """Sends from a thread, so that replies are read meanwhile."""
    def run():
        for piece in pieces:
            client.send(piece)
    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_one_line_per_reply_and_spelling(agent):
    with agent.client() as client:
        client.send(PING)
        assert client.line() == b'{"return": {}}'
        client.send(b"{'execute':'guest-sync','arguments':{'id':5}}")
        assert client.line() == b'{"return": 5}'
        client.send(b'{"execute":"guest-ping","id":[1,{"a":null}]}')
        assert client.line().startswith(b'{"return": {}, "id": [1,')


def test_output_is_ascii(agent):
    """But for the id, which comes back as it was sent."""
    with agent.client() as client:
        client.send('{"execute":"guest-é\U0001f600\x7f"}'.encode())
        line = client.line()
        assert line.isascii()
        assert "guest-é\U0001f600\x7f" in json.loads(line)["error"]["desc"]
        client.send('{"execute":"guest-ping","id":"é\U0001f600\x7f"}'.encode())
        assert client.reply()["id"] == "é\U0001f600\x7f"


def test_requests_in_every_cut(agent):
    request = b'{"execute":"guest-sync","arguments":{"id":77},"id":"\xc3\xa9"} '
    with agent.client() as client:
        for cut in range(1, len(request)):
            client.send(request[:cut])
            time.sleep(0.0005)
            client.send(request[cut:])
            assert client.reply() == {"return": 77, "id": "é"}


def test_sync_delimited_has_one_byte_before(agent):
    with agent.client() as client:
        client.send(b'{"execute":"guest-sync-delimited","arguments":{"id":3}}' + PING)
        assert client.line() == b'\xff{"return": 3}'
        assert client.line() == b'{"return": {}}'


HALVES = [b"", b"{", b'{"', b'{"exe', b'{"execute"', b'{"execute":', b'{"execute":"guest-p', b'{"execute":"guest-ping\\',
          b'{"execute":"guest-ping\\u00', b'{"execute":"guest-ping"', b'{"execute":"guest-ping","arguments":{', b"[[[[",
          b"tru", b"-", b"12", b'{"execute":"guest-ping","id":1', b"'it", b'{"execute":"\xc3',
          b'{"execute":"guest-file-write","arguments":{"handle":1,"buf-b64":"QUJD',
          b'{"execute":"guest-file-write","arguments":{"buf-b64":"QUJD"']


@pytest.mark.parametrize("half", HALVES, ids=repr)
def test_ff_clears_a_half_request(agent, half):
    """At most one error for it, and the next request is served."""
    with agent.client() as client:
        client.send(half + b"\xff" + b'{"execute":"guest-sync-delimited","arguments":{"id":1}}')
        replies = [client.line()]
        while not replies[-1].startswith(b"\xff"):
            replies.append(client.line())
        assert len(replies) <= 2
        assert replies[-1] == b'\xff{"return": 1}'


def test_ff_drops_what_is_queued(agent):
    """The replies of dropped requests do not come after the sync: order stays whole."""
    with agent.client() as client:
        client.send(PING * 50 + b"\xff" + b'{"execute":"guest-sync-delimited","arguments":{"id":9}}' + PING)
        lines = []
        while not lines or not lines[-1].startswith(b"\xff"):
            lines.append(client.line())
        assert lines[-1] == b'\xff{"return": 9}'
        assert client.line() == b'{"return": {}}'
        assert client.sync() == []


def test_pipelining_20000(agent):
    count = 20000
    requests = b"".join(b'{"execute":"guest-sync","arguments":{"id":%d}}' % n for n in range(count))
    with agent.client(timeout=60) as client:
        sender = flood(client, [requests])
        for n in range(count):
            assert client.reply() == {"return": n}
        sender.join()
        assert client.sync() == []


def test_pipelining_through_workers_keeps_order(agent):
    commands = ["guest-get-host-name", "guest-ping", "guest-nothing", "guest-get-time", "guest-get-osinfo"]
    with agent.client() as client:
        sender = flood(client, [json.dumps({"execute": commands[n % 5], "id": n}).encode() for n in range(500)])
        for n in range(500):
            reply = client.reply()
            assert reply["id"] == n
            assert ("error" in reply) == (n % 5 == 2)
        sender.join()


def test_a_client_that_does_not_read_costs_nothing(agent):
    with agent.client(timeout=30) as client:
        client.socket.setblocking(False)
        sent = 0
        try:
            while sent < 64 * MIB:
                sent += client.socket.send(PING * 1000)
        except BlockingIOError:
            pass
        time.sleep(0.2)
        pids = agent.pids()
        before = cpu_ticks(pids)
        time.sleep(0.5)
        assert cpu_ticks(pids) - before <= 2
        client.socket.settimeout(30)
        got = 0
        while got < sent // len(PING):
            client.line()
            got += 1


def cpu_ticks(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total


def test_half_close_still_answers(agent):
    with agent.client() as client:
        client.send(PING)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.line() == b'{"return": {}}'
        with pytest.raises(Gone):
            client.line()


def test_second_client_waits_for_the_first(agent):
    with agent.client() as first, agent.client() as second:
        assert first.ok("guest-ping") == {}
        second.send(PING)
        with pytest.raises(socket.timeout):
            second.line(timeout=0.2)
        assert first.ok("guest-ping") == {}
        first.close()
        assert second.line(timeout=5) == b'{"return": {}}'


def test_half_request_does_not_reach_the_next_client(agent):
    for half in (b'{"execute":"gue', b"[[[[", b"'text", b"\xc3", b'{"execute":"guest-ping"'):
        with agent.client() as client:
            client.send(half)
        with agent.client() as client:
            assert client.ok("guest-ping") == {}


def test_1000_vanishing_clients(agent):
    """In the middle of a request, of a reply, with a reply unread; the next one is served cleanly."""
    with agent.client() as client:
        handle = client.open("/dev/zero")
    big = b'{"execute":"guest-file-read","arguments":{"handle":%d,"count":4000000}}' % handle
    dice = random.Random(7)
    for n in range(1000):
        client = agent.client()
        kind = n % 5
        if kind == 0:
            client.send(PING[:dice.randrange(1, len(PING) - 1)])
        elif kind == 1:
            client.send(big)
            client.socket.recv(dice.randrange(1, 5000))
        elif kind == 2:
            client.send(PING * 3)
        elif kind == 3:
            client.send(big[:dice.randrange(1, len(big) - 1)])
        client.close()
    with agent.client() as client:
        assert client.ok("guest-ping") == {}
        assert client.read(handle, 10) == (bytes(10), False)
        assert client.sync() == []


# What is sent, and by how much memory may grow: bulk data is staged, up to what one write may carry.
SMALL, STAGED = 8 * MIB, 56 * MIB
HOSTILE = {
    "100 MB of an unterminated string": ([b'{"execute":"'] + [b"a" * MIB] * 100, SMALL),
    "an unterminated string in bulk": ([b'{"execute":"guest-file-write","arguments":{"handle":1,"buf-b64":"'] + [b"QUJD" * (MIB // 4)] * 100,
                                       STAGED),
    "a million brackets": ([b"[" * 1000000], SMALL),
    "a million braces": ([b'{"a":' * 200000], SMALL),
    "a megabyte of 0xFF": ([b"\xff" * MIB], SMALL),
    "a million members": ([b'{"execute":"guest-ping","arguments":{'] + [b'"k%d":1,' % n for n in range(1000)] * 1000, SMALL),
    "a long number": ([b"1" * (10 * MIB)], SMALL),
    "a long line of white space": ([b" " * (10 * MIB)], SMALL),
    "zeros": ([bytes(MIB)], SMALL),
    "random": ([random.Random(1).randbytes(MIB).replace(b"\xff", b"\xfe")], SMALL),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input(agent, name):
    """Bounded memory, an error, then a ping is answered."""
    pieces, growth = HOSTILE[name]
    with agent.client(timeout=60) as client:
        client.ok("guest-ping")
        before, peak, done = memory(agent.pids()), [0], threading.Event()

        def watch():
            while not done.wait(0.01):
                peak[0] = max(peak[0], memory(agent.pids()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        sender = flood(client, pieces + [b'\n\xff{"execute":"guest-sync-delimited","arguments":{"id":4}}' + PING])
        lines, size = 0, 0
        while not (line := client.line()).startswith(b"\xff"):
            lines, size = lines + 1, size + len(line)
        assert line == b'\xff{"return": 4}'
        assert client.line() == b'{"return": {}}'
        sender.join()
        done.set()
        watcher.join()
        assert peak[0] - before < growth, f"grew by {(peak[0] - before) / MIB:.1f} MiB"
        if name not in ("random", "zeros"):
            assert lines <= 2 and size <= 4 * KIB
    wait_for(lambda: memory(agent.pids()) - before < 2 * MIB, 5, "memory to be given back")
