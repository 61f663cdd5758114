"""The wire at its worst: each limit from both sides, 0xFF at every byte, 20,000 requests at once, clients that leave and
workers that stall in every state of the front's machine. What must hold: one line per request, in order; one error per
broken one; nothing of a dropped request is done or left behind."""

import base64
import json
import os
import pathlib
import re
import signal
import socket
import threading
import time

import pytest

from harness import KIB, MIB, ROOT, split_error, wait_for

PING = b'{"execute":"guest-ping"}\n'
PONG = b'{"return": {}}'
SCHEMA = json.loads((ROOT / "protocol/schema.json").read_text())


@pytest.fixture
def agent(start):
    return start("open")


def constant(name):
    """A limit as the code has it."""
    for path in (ROOT / "protocol/json/lexer.h", ROOT / "broker/front/front.h", ROOT / "workers/lib/worker.h"):
        found = re.search(rf"#define {name}\b[\s\\]*\(?([\d *u]+)\)?", path.read_text())
        if found:
            return eval(found[1].replace("u", ""))  # digits and stars only
    raise KeyError(name)


def sync(number):
    return b'\xff{"execute":"guest-sync-delimited","arguments":{"id":%d}}' % number


def until_sync(client, number):
    """The lines before the reply to a guest-sync-delimited."""
    lines = []
    while not (line := client.line()).startswith(b"\xff"):
        lines.append(line)
    assert line == b'\xff{"return": %d}' % number
    return lines


def send_while_reading(client, data):
    thread = threading.Thread(target=client.send, args=(data,))
    thread.start()
    return thread


# Limits: how to make a request of size n, the largest n, and the code of the error beyond it.

def ping_of_length(n):
    frame = b'{"execute":"guest-ping","id":""}'
    return frame[:-2] + b"a" * (n - len(frame)) + frame[-2:]


def ping_of_depth(n):
    return b'{"execute":"guest-ping","id":' + b"[" * (n - 1) + b"]" * (n - 1) + b"}"


def ping_of_members(n):
    """Two of them are the envelope's."""
    return b'{"execute":"guest-ping","id":[' + b",".join([b"1"] * (n - 2)) + b"]}"


def ping_with_number(n):
    frame = b'{"execute":"guest-ping","id":}'
    return frame[:-1] + b"1" * (n - len(frame)) + frame[-1:]


def unknown_command(n):
    frame = b'{"execute":""}'
    return frame[:-2] + b"x" * (n - len(frame)) + frame[-2:]


LIMITS = {
    "text": (ping_of_length, "BH_TEXT_MAX", "the request is too long"),
    "depth": (ping_of_depth, "BH_DEPTH_MAX", "nested too deeply"),
    "members": (ping_of_members, "BH_MEMBERS_MAX", "too many members and elements"),
    "a number": (ping_with_number, "BH_TEXT_MAX", "the request is too long"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limit(agent, name):
    """Below and at the limit a request is served; above it there is one error, and the next request is served."""
    make, constant_name, text = LIMITS[name]
    limit = constant(constant_name)
    with agent.client(timeout=30) as client:
        for n in (limit - 1, limit):
            sender = send_while_reading(client, make(n) + b"\n" + PING)
            assert client.line().startswith(PONG[:-1]), n
            assert client.line() == PONG
            sender.join()
        for n in (limit + 1, limit + 100, 3 * limit):
            sender = send_while_reading(client, make(n) + b"\n" + PING)
            assert text in client.reply()["error"]["desc"], n
            assert client.line() == PONG
            sender.join()
        assert client.sync() == []


def test_a_long_name_is_one_short_error(agent):
    with agent.client(timeout=30) as client:
        for n in (200, 100 * KIB, MIB - 1, MIB + 1):
            client.send(unknown_command(n) + b"\n" + PING)
            line = client.line()
            assert b'"error"' in line and len(line) <= 4 * KIB, n
            assert client.line() == PONG


def write_request(handle, data, end=b'"}}'):
    return b'{"execute":"guest-file-write","arguments":{"handle":%d,"buf-b64":"' % handle + base64.b64encode(data) + end


@pytest.mark.parametrize("more,served", [(-1, True), (0, True), (1, False), (3 * MIB, False)])
def test_bulk_limit(agent, folder, more, served):
    """Nothing of a write that is too long is done."""
    path = folder / "bulk"
    size = constant("BH_WORKER_STAGE_MAX") + more
    with agent.client(timeout=60) as client:
        handle = client.open(path, "w")
        sender = send_while_reading(client, write_request(handle, bytes(size)) + PING)
        reply = client.reply()
        assert client.line() == PONG
        sender.join()
        assert ("return" in reply) == served, reply
        assert path.stat().st_size == (size if served else 0)
        assert client.sync() == []


@pytest.mark.parametrize("more,served", [(0, True), (1, False), (MIB, False)])
def test_bulk_text_limit(agent, more, served):
    """Line breaks are no data, but do not go on for ever either."""
    breaks = constant("BH_LIFT_MAX") - 4 + more
    with agent.client(timeout=60) as client:
        handle = client.open("/dev/null", "w")
        sender = send_while_reading(client, write_request(handle, b"", b"") + b"\\n" * breaks + b'AAAA"}}\n' + PING)
        reply = client.reply()
        assert client.line() == PONG
        sender.join()
        assert ("return" in reply) == served, reply
        assert client.sync() == []


def test_read_count_limit(agent):
    limit = SCHEMA["commands"]["guest-file-read"]["args"]["*count"]["max"]
    with agent.client() as client:
        handle = client.open("/dev/null")
        for count in (limit - 1, limit):
            assert client.ok("guest-file-read", {"handle": handle, "count": count})["eof"]
        for count in (limit + 1, 2 ** 63 - 1, -1):
            client.error("guest-file-read", {"handle": handle, "count": count})
        assert client.sync() == []


# 0xFF everywhere.

def requests(handle):
    return {
        "ping": b'{"execute":"guest-ping","id":[1,{"a":null}]}',
        "escapes": b'{"execute":"guest-sync","arguments":{"id":12},"id":"\\u00e9\\"\xc3\xa9\\ud83d\\ude00"}',
        "single quotes": b"{'execute':'guest-info' , 'id':-1.5e3}",
        "bulk": write_request(handle, b"must not be written"),
        "bulk first": b'{"arguments":{"buf-b64":"QUJD\\nQUJD","handle":%d},"execute":"guest-file-write"}' % handle,
        "secret": b'{"execute":"guest-set-user-password","arguments":{"username":"nobody","password":"QUJD","crypted":false}}',
    }


@pytest.mark.parametrize("name", requests(1))
def test_ff_at_every_byte(agent, folder, name):
    """At most one error for what was dropped, then the reply to the sync; and nothing of it is done."""
    path = folder / "target"
    with agent.client() as client:
        handle = client.open(path, "w")
        request = requests(handle)[name]
        for cut in range(len(request)):
            client.send(request[:cut] + sync(cut) + PING)
            lines = until_sync(client, cut)
            assert len(lines) == (1 if cut else 0), (cut, lines)
            assert all(b'"error"' in line for line in lines)
            assert client.line() == PONG
        assert path.stat().st_size == 0
        client.send(request)
        client.reply()
        assert client.sync() == []


def test_ff_inside_one_read_and_in_its_own(agent):
    """The byte is found wherever the reads of the agent happen to end."""
    with agent.client() as client:
        for cut in (1, 100, 64 * KIB - 1, 64 * KIB, 128 * KIB - 1, 128 * KIB, 128 * KIB + 1, 300 * KIB):
            client.send(b'{"execute":"' + b"a" * cut)
            time.sleep(0.002)
            client.send(sync(cut))
            assert len(until_sync(client, cut)) == 1


def test_ff_while_streaming(agent):
    """The half-sent line is ended, the reply to the sync follows it."""
    with agent.client() as client:
        handle = client.open("/dev/zero")
        for n in range(20):
            client.send(b'{"execute":"guest-file-read","arguments":{"handle":%d,"count":40000000}}' % handle)
            client.buffer += client.socket.recv(100000)
            client.send(sync(n) + PING)
            lines = until_sync(client, n)
            assert len(lines) <= 1 and all(line.startswith(b'{"return": {"buf-b64": "AAAA') for line in lines)
            assert client.line() == PONG
        assert client.read(handle, 5) == (bytes(5), False)


def test_ff_while_staging(agent, folder):
    path = folder / "staged"
    with agent.client() as client:
        handle = client.open(path, "w")
        for n in range(20):
            client.send(write_request(handle, b"x" * (n * 100 * KIB), b"") + sync(n))
            assert len(until_sync(client, n)) == 1
        assert client.write(handle, b"only this") == 9
        assert path.read_bytes() == b"only this"


def test_ff_while_output_waits(agent):
    """Replies that nobody has taken are dropped, but no line is cut without its end."""
    with agent.client(timeout=30) as client:
        client.send(b'{"execute":"guest-info"}' * 5000)
        wait_for(lambda: stuck(client), 5, "the output to pile up")
        client.send(sync(7) + PING)
        lines = until_sync(client, 7)
        for line in lines[:-1]:
            json.loads(line)
        assert len(lines) < 5000
        assert client.line() == PONG
        assert client.sync() == []


def stuck(client):
    """True if the agent has written what the socket takes and waits."""
    def waiting():
        return len(client.socket.recv(16 * MIB, socket.MSG_PEEK))

    before = waiting()
    time.sleep(0.5)
    return before > 100 * KIB and waiting() == before


def test_a_client_that_reads_just_in_time(agent):
    """Output that drains at any moment lets the requests behind it go on: nothing is left lying in the front."""
    request = ping_of_length(300 * KIB) + PING
    with agent.client(timeout=5) as client:
        for n in range(1000):
            sender = send_while_reading(client, request)
            assert client.line().startswith(PONG[:-1])
            assert client.line() == PONG, n
            sender.join()


# Order.

def test_20000_mixed_requests(agent, folder):
    """Answered by three processes or refused, written in one go, answered in order, one line each."""
    path, count = folder / "log", 20000
    with agent.client(timeout=120) as client:
        zero, log = client.open("/dev/zero"), client.open(path, "w")

        def request(n):
            kinds = [("guest-ping", None), ("guest-sync", {"id": n}), ("guest-nothing", None),
                     ("guest-file-read", {"handle": zero, "count": n % 700}), ("guest-get-host-name", None),
                     ("guest-file-write", {"handle": log, "buf-b64": base64.b64encode(b"%d\n" % n).decode()}),
                     ("guest-file-seek", {"handle": 1, "offset": 0, "whence": 0}), ("guest-sync", {"id": "x"})]
            command, arguments = kinds[n % len(kinds)]
            return {"execute": command, "id": n, **({"arguments": arguments} if arguments else {})}

        sender = send_while_reading(client, b"".join(json.dumps(request(n)).encode() for n in range(count)))
        for n in range(count):
            reply = client.reply()
            assert reply["id"] == n
            assert ("error" in reply) == (n % 8 in (2, 6, 7)), reply
            if n % 8 == 3:
                assert reply["return"]["count"] == n % 700
        sender.join()
        assert client.sync() == []
    assert path.read_bytes() == b"".join(b"%d\n" % n for n in range(5, count, 8))


def test_broken_requests_among_good_ones(agent):
    """Each line that is no request costs one error, and no neighbour."""
    broken = [b"]", b"}", b'{"execute":"a}', b"nul", b"1e", b'{"execute":1,}', b"\x01", b'{"a":"\xc3"}', b"[1,]", b'{"execute":"\\x"}']
    with agent.client(timeout=30) as client:
        for _ in range(20):
            client.send(b"".join(b'{"execute":"guest-sync","arguments":{"id":%d}}' % n + line + b"\n"
                                 for n, line in enumerate(broken)))
            for n in range(len(broken)):
                assert client.reply() == {"return": n}
                assert "error" in client.reply(), broken[n]
        assert client.sync() == []


# Clients that leave, in every state.

def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", 5, "a stop")


def leave_half_request(agent, client, handle):
    client.send(b'{"execute":"guest-file-read","argu')


def leave_staging(agent, client, handle):
    client.send(write_request(handle, b"x" * MIB, b""))


def leave_holding(agent, client, handle):
    """The worker takes nothing, so the front does not either."""
    stop(agent.pid("fs"))
    client.socket.settimeout(0.3)
    with pytest.raises(socket.timeout):
        client.send(write_request(handle, b"x" * (20 * MIB), b""))


def leave_starting(agent, client, handle):
    """Nobody answers the front's wish for a worker."""
    stop(agent.process.pid)
    client.send(b'{"execute":"guest-get-osinfo"}')


def leave_waiting(agent, client, handle):
    stop(agent.pid("fs"))
    client.send(b'{"execute":"guest-file-seek","arguments":{"handle":%d,"offset":0,"whence":0}}' % handle)


def leave_streaming(agent, client, handle):
    other = client.open("/dev/zero")
    client.send(b'{"execute":"guest-file-read","arguments":{"handle":%d,"count":40000000}}' % other)
    client.socket.recv(10)


def leave_flushing(agent, client, handle):
    client.send(b'{"execute":"guest-info"}' * 500)
    wait_for(lambda: stuck(client), 5, "the output to pile up")


LEAVE = {name[6:]: function for name, function in dict(globals()).items() if name.startswith("leave_")}


@pytest.mark.parametrize("moment", LEAVE)
def test_client_leaves(agent, folder, moment):
    """Nothing staged is written, nothing owed is told to the next client."""
    path = folder / "target"
    stopped = []
    with agent.client() as client:
        handle = client.open(path, "w")
        stopped = [agent.process.pid, agent.pid("fs")]
        LEAVE[moment](agent, client, handle)
        time.sleep(0.05)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    with agent.client() as client:
        assert client.sync() == []
        assert client.ok("guest-ping") == {}
        assert path.stat().st_size == 0
        assert client.write(handle, b"mine") == 4
        assert client.sync() == []
    assert path.read_bytes() == b"mine"


# Workers that stall.

def test_a_slow_worker_is_waited_for(agent):
    with agent.client() as client:
        handle = client.open("/dev/zero")
        pid = agent.pid("fs")
        stop(pid)
        client.send(b'{"execute":"guest-file-read","arguments":{"handle":%d,"count":3}}' % handle + PING)
        with pytest.raises(socket.timeout):
            client.line(timeout=0.5)
        os.kill(pid, signal.SIGCONT)
        assert client.reply(timeout=5)["return"]["count"] == 3
        assert client.line() == PONG


def test_a_silent_worker_is_ended_at_its_deadline(agent):
    """At the time that the schema says, with an error that says so; the next request has a new worker."""
    command = "guest-get-osinfo"
    deadline = SCHEMA["commands"][command]["deadline-ms"] / 1000
    with agent.client(timeout=deadline + 10) as client:
        client.ok(command)
        pid = agent.pid("info")
        stop(pid)
        start = time.monotonic()
        client.send(b'{"execute":"%s"}' % command.encode() + PING)
        _, text, code, record = split_error(client.reply())
        took = time.monotonic() - start
        assert deadline - 0.1 <= took < deadline + 3, took
        assert code == 1402 and "deadline" in text, text
        assert record and agent.record(record)["code"] == "BH1402"
        assert client.line() == PONG
        assert client.ok(command)["id"]
        assert agent.pid("info") != pid
        assert client.sync() == []


def test_a_worker_that_cannot_be_started_is_given_up(agent):
    limit = constant("BH_START_MS") / 1000
    with agent.client() as client:
        client.ok("guest-ping")
        stop(agent.process.pid)
        try:
            start = time.monotonic()
            client.send(b'{"execute":"guest-get-osinfo"}' + PING)
            _, text, code, _ = split_error(client.reply())
            took = time.monotonic() - start
        finally:
            os.kill(agent.process.pid, signal.SIGCONT)
        assert limit - 0.1 <= took < limit + 2, took
        assert code == 1403 and "started in time" in text, text
        assert client.line() == PONG
        wait_for(lambda: "return" in client.call("guest-get-osinfo"), 5, "a worker")
        assert client.sync() == []


def test_a_worker_that_hears_nothing_keeps_time(start, folder):
    """It waits in a read, and yet closes a handle that has idled, and does not wake without a reason."""
    (folder / "file").write_text("x")
    agent = start(f'policy 1\ncommands 49\nset handle-idle 2s\nuse standard\n'
                  f'rule files: allow @file-read {{ path beneath "{folder}" }}\n')
    with agent.client() as client:
        handle = client.open(folder / "file")
        client.read(handle, 1)
        pid = agent.pid("fs")
        before = switches(pid)
        wait_for(lambda: [row for row in agent.audit("closed") if "not used for too long" in row.get("text", "")], 6, "the handle to be closed")
        assert switches(pid) - before <= 6
        client.error("guest-file-read", {"handle": handle})


def switches(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", text))
