"""A front that was taken over, speaking raw packets to everybody it can reach.

rogue-front.c stands in place of bulkhead-front, in a scratch folder beside the other programs; the tests here say what
it sends. Whatever that is: nothing happens beyond the policy, the agent lives, and the next valid call is answered.
"""

import hashlib
import itertools
import json
import os
import random
import select
import shutil
import signal
import socket
import struct

import pytest

from harness import BUILD, MIB, ROOT, Agent, memory, wait_for

pytestmark = pytest.mark.root

POLICY = """policy 1
allow @sync, @info, @net, @shutdown, @time
rule logs: allow @file-read {{
    path beneath "{0}/logs"
}}
"""
SCHEMA_BYTES = (ROOT / "protocol" / "schema.json").read_bytes()
SCHEMA = json.loads(SCHEMA_BYTES)
HASH = int(hashlib.sha256(SCHEMA_BYTES).hexdigest()[:8], 16)
COMMANDS = {name: number for number, name in enumerate(SCHEMA["commands"])}
WORKERS = {name: number for number, name in enumerate(SCHEMA["workers"])}
CALL, STAGE, ABANDON, DATA, REPLY, ERROR, AGAIN, WAKE = range(1, 9)
MORE = 1
FRAME = struct.Struct("=IHHIIQ")
CONTROL = struct.Struct("=HHI")
START, KILL, SEGMENT, PEER, REFUSED, CLIENT, SOURCE, TAKE_POLICY, LEAVE = range(1, 10)
MAGIC = 0xb417
OPENER = 32
LATE = 1 << 60  # above every number that a worker has seen


def frame(kind, command, payload=b"", number=LATE, flags=0, schema=HASH, length=None):
    command = COMMANDS[command] if isinstance(command, str) else command
    length = len(payload) if length is None else length
    return FRAME.pack(schema, kind, command, length, flags, number) + payload


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("=I", len(data)) + data


def open_args(path, mode=None):
    return text(path) + (b"\0" if mode is None else bytes([1, mode]))


class Rogue:
    """The test's end of the rogue's connection."""

    HEAD = struct.Struct("=cII")
    epochs = itertools.count(1)

    def __init__(self, agent):
        self.agent, self.next = agent, next(self.epochs) << 32
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(agent.socket))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, kind, number, data=b""):
        self.socket.settimeout(10)  # whatever the last event was waited for
        self.socket.sendall(self.HEAD.pack(kind, number, len(data)) + data)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def event(self, timeout=10):
        self.socket.settimeout(timeout)
        kind, number, length = self.HEAD.unpack(self.exactly(self.HEAD.size))
        return kind, number, self.exactly(length)

    def until(self, *kinds, timeout=10):
        while True:
            event = self.event(timeout)
            if event[0] in kinds:
                return event

    def drain(self):
        """Reads what has come, so that the rogue is not held up; True if a peer went."""
        gone = False
        try:
            while True:
                gone |= self.event(0.01)[0] == b"E"
        except socket.timeout:
            return gone

    def start(self, peer):
        """True if the supervisor hands out a socket to this peer."""
        self.send(b"C", 0, CONTROL.pack(MAGIC, START, peer))
        kind, number, data = self.until(b"G", b"C")
        assert number == peer
        assert kind == b"G" or CONTROL.unpack(data)[1] == REFUSED
        return kind == b"G"

    def call(self, peer, command, payload=b""):
        """A well-formed call: (type of the answer, its payload), streamed data left out; None if the peer went."""
        self.next += 1
        self.send(b"P", peer, frame(CALL, command, payload, self.next))
        while True:
            kind, _, data = self.until(b"P", b"E", b"N")
            if kind != b"P":
                return None
            head = FRAME.unpack(data[:FRAME.size])
            if head[5] == self.next and head[1] in (REPLY, ERROR):
                return head[1], data[FRAME.size:]


@pytest.fixture
def agent(folder):
    programs = folder / "bin"
    programs.mkdir()
    for path in BUILD.glob("bulkhead*"):
        if path.is_file() and os.access(path, os.X_OK):
            shutil.copy(path, programs)
    shutil.copy(BUILD / "tests" / "e2e" / "rogue-front", programs / "bulkhead-front")
    (folder / "logs").mkdir()
    (folder / "logs" / "f").write_bytes(b"allowed bytes")
    (folder / "secret").write_bytes(b"secret bytes")
    agent = Agent(folder / "agent", POLICY.format(folder), build=programs)
    agent.answers = lambda: agent.socket.exists() and (agent.folder / "bulkhead" / "status.json").exists()
    with agent:
        yield agent
        assert agent.process.poll() is None, agent.log_text()[-3000:]


@pytest.fixture
def rogue(agent):
    with Rogue(agent) as connection:
        yield connection


INFO, FS, STORAGE = WORKERS["info"], WORKERS["fs"], WORKERS["storage"]


def error_code(answer):
    assert answer and answer[0] == ERROR, answer
    return struct.unpack("=H", answer[1][:2])[0]


def finished(rogue, peer, command, payload=b""):
    """The answer of a worker that is started as often as it takes."""
    return wait_for(lambda: rogue.start(peer) and rogue.call(peer, command, payload), 10, command)


def still_works(rogue, folder):
    """Both workers can be had and do what the policy says. One that is just ending may be met once."""
    assert finished(rogue, INFO, "guest-get-host-name")[0] == REPLY
    kind, payload = finished(rogue, FS, "guest-file-open", open_args(f"{folder}/logs/f"))
    assert kind == REPLY
    rogue.call(FS, "guest-file-close", payload)
    assert error_code(rogue.call(FS, "guest-file-open", open_args(f"{folder}/secret"))) == 1202


def test_valid_calls_work(rogue, folder):
    still_works(rogue, folder)


def test_only_granted_peers_are_handed_out(rogue, folder):
    given = {peer for peer in [*range(0, 50), 2**31, 2**32 - 1] if rogue.start(peer)}
    assert given == {INFO, FS, STORAGE}
    still_works(rogue, folder)


@pytest.mark.parametrize("packet", [
    b"", b"x", bytes(7), bytes(8), bytes(9), CONTROL.pack(0, START, INFO), CONTROL.pack(MAGIC, 0, 0),
    CONTROL.pack(MAGIC, SEGMENT, 0), CONTROL.pack(MAGIC, PEER, FS), CONTROL.pack(MAGIC, CLIENT, 0),
    CONTROL.pack(MAGIC, SOURCE, 0), CONTROL.pack(MAGIC, LEAVE, 0), CONTROL.pack(MAGIC, 99, 0), CONTROL.pack(MAGIC, START, FS) * 2, bytes(65536)],
    ids=lambda packet: packet[:8].hex() + f"-{len(packet)}")
def test_a_front_that_breaks_the_control_protocol_is_ended(agent, rogue, folder, packet):
    rogue.start(INFO)
    pid = agent.pid("front")
    rogue.send(b"C", 0, packet)
    if packet:
        wait_for(lambda: pid not in agent.pids(), 5, "the front's end")
    with Rogue(agent) as another:
        rogue.socket.close()
        still_works(another, folder)


def test_kill_reaches_its_own_workers_only(agent, rogue, folder):
    still_works(rogue, folder)
    audit = agent.pid("audit")
    for peer in range(0, 50):
        rogue.send(b"C", 0, CONTROL.pack(MAGIC, KILL, peer))
    still_works(rogue, folder)
    assert agent.pid("audit") == audit


def useful(rogue, peer, folder):
    """A finished request: without one between two deaths, a worker is started later and later."""
    command, payload = ("guest-get-host-name", b"") if peer == INFO else ("guest-file-open", open_args(f"{folder}/secret"))
    finished(rogue, peer, command, payload)


def reload(agent, text):
    """Another policy, as SIGHUP brings it."""
    path = agent.folder / "bulkhead" / "status.json"
    before = json.loads(path.read_text())["reload"]["count"]
    agent.write_policy(text)
    agent.process.send_signal(signal.SIGHUP)
    wait_for(lambda: json.loads(path.read_text())["reload"]["count"] > before, 10, "the reload")


def test_a_front_that_ignores_a_reload(agent, rogue, folder):
    """It keeps its links and its half-sent call, and gets what the new policy grants."""
    useful(rogue, FS, folder)
    kind, handle = finished(rogue, FS, "guest-file-open", open_args(f"{folder}/logs/f"))
    assert kind == REPLY
    rogue.next += 1
    payload = open_args(f"{folder}/logs/f")
    rogue.send(b"P", FS, frame(CALL, "guest-file-open", payload[:5], rogue.next, MORE))
    reload(agent, POLICY.format(folder) + 'deny @file-read {\n    path glob "/*/*/logs/*"\n}\n')
    rogue.send(b"P", FS, frame(CALL, "guest-file-open", payload[5:], rogue.next))
    kind, _, data = rogue.until(b"P")
    assert FRAME.unpack(data[:FRAME.size])[1] == ERROR and struct.unpack("=H", data[FRAME.size:][:2])[0] == 1203
    assert error_code(rogue.call(FS, "guest-file-read", handle + b"\0")) == 1203
    for _ in range(100):
        rogue.send(b"P", FS, frame(WAKE, 0))
    assert error_code(rogue.call(FS, "guest-file-open", open_args(f"{folder}/logs/f"))) == 1203
    rogue.send(b"C", 0, CONTROL.pack(MAGIC, TAKE_POLICY, 0))
    assert CONTROL.unpack(rogue.until(b"C")[2])[1] == TAKE_POLICY
    reload(agent, POLICY.format(folder))
    still_works(rogue, folder)


def malformed():
    good = frame(CALL, "guest-get-host-name")
    rows = [(f"{size} bytes", good[:size]) for size in range(1, FRAME.size)]
    rows += [(f"type {kind}", frame(kind, "guest-get-host-name")) for kind in (0, DATA, REPLY, ERROR, AGAIN, 9, 255, 65535)]
    rows += [(f"command {number}", frame(CALL, number)) for number in (COMMANDS["guest-ping"], COMMANDS["guest-exec"],
                                                                       COMMANDS["guest-shutdown"], len(COMMANDS), 65535)]
    rows += [(f"schema {schema:x}", frame(CALL, "guest-get-host-name", schema=schema)) for schema in (0, HASH ^ 1)]
    rows += [(f"length {length}", frame(CALL, "guest-get-host-name", b"abc", length=length))
             for length in (0, 2, 4, 65537, 2**32 - 1)]
    rows += [(f"flags {flags}", frame(CALL, "guest-get-host-name", flags=flags)) for flags in (2, 3, 2**32 - 1)]
    rows += [("number 0", frame(CALL, "guest-get-host-name", number=0)), ("too long", frame(CALL, 5, bytes(65537))),
             ("much too long", frame(CALL, 5, bytes(200000))), ("payload", frame(CALL, "guest-get-host-name", b"x")),
             ("abandon of nothing", frame(ABANDON, "guest-file-write"))]
    return rows


@pytest.mark.parametrize("peer", [INFO, FS], ids=["info", "fs"])
def test_malformed_frames(agent, rogue, folder, peer):
    """Each alone, to a fresh link: an error or the end of the link, never a reply."""
    for name, packet in malformed():
        wait_for(lambda: rogue.start(peer), 10, name)
        useful(rogue, peer, folder)
        rogue.send(b"P", peer, packet)
        try:
            kind, _, data = rogue.until(b"P", b"E", b"N", timeout=0.05)
        except socket.timeout:
            kind, data = b"-", b""
        if kind == b"P":
            assert FRAME.unpack(data[:FRAME.size])[1] == ERROR, name
        if kind != b"E":
            rogue.send(b"X", peer)
            rogue.until(b"E")
    still_works(rogue, folder)


ARGUMENTS = ["guest-file-open", "guest-file-close", "guest-file-read", "guest-file-write", "guest-file-seek"]


def test_random_payloads(agent, rogue, folder):
    dice = random.Random(5)
    assert rogue.start(FS)
    for n in range(2000):
        command = dice.choice(ARGUMENTS)
        payload = dice.choice([dice.randbytes(dice.randrange(64)), text(dice.randbytes(dice.randrange(40))) + b"\0",
                               struct.pack("=q", dice.choice([0, -1, 2**62])) + dice.randbytes(dice.randrange(20)),
                               open_args(f"{folder}/logs/f", dice.randrange(256))])
        answer = rogue.call(FS, command, payload)
        if answer is None:
            wait_for(lambda: rogue.start(FS), 10, "fs after a broken link")
            useful(rogue, FS, folder)
        elif answer[0] == REPLY and command == "guest-file-open":
            rogue.call(FS, "guest-file-close", answer[1])
    assert (folder / "secret").read_bytes() == b"secret bytes"
    still_works(rogue, folder)


def test_policy_holds_without_the_front(rogue, folder):
    """The front's own check is only a quick refusal: the worker decides the same."""
    assert rogue.start(FS)
    (folder / "logs" / "link").symlink_to(folder / "secret")
    os.link(folder / "secret", folder / "logs" / "hard")
    for name in ("secret", "logs/../secret", "logs/link", "logs/hard", "logs/../logs/../secret", "", "logs"):
        assert error_code(rogue.call(FS, "guest-file-open", open_args(f"{folder}/{name}"))) in (1202, 1204), name
    for mode in range(1, 6):
        assert error_code(rogue.call(FS, "guest-file-open", open_args(f"{folder}/logs/f", mode))) == 1202
        assert error_code(rogue.call(FS, "guest-file-open", open_args(f"{folder}/logs/new{mode}", mode))) == 1202
    for path in ("/proc/self/fd/3", "/proc/self/fd/5", "/proc/1/mem", "proc/self/fd/4", "/etc/shadow"):
        assert error_code(rogue.call(FS, "guest-file-open", open_args(path))) in (1202, 1204)
    assert sorted(os.listdir(folder / "logs")) == ["f", "hard", "link"]


def test_handles_cannot_be_guessed_into_being(rogue):
    assert rogue.start(FS)
    for handle in [*range(-5, 5), 1000, 2**53, 2**63 - 1]:
        for command, rest in (("guest-file-read", b"\0"), ("guest-file-close", b"")):
            assert error_code(rogue.call(FS, command, struct.pack("=q", handle) + rest)) == 1108


@pytest.mark.parametrize("numbers", [1, 3], ids=["one number", "several numbers"])
def test_staged_bytes_without_a_call_are_given_back(agent, rogue, folder, numbers):
    """75 MiB staged, more than one write may carry, for a call that never comes."""
    assert rogue.start(FS)
    before = memory(agent.pids())
    chunk, gone = bytes(65536), False
    for number in range(1200):
        rogue.send(b"P", FS, frame(STAGE, "guest-file-write", chunk, rogue.next + number % numbers + 1, MORE))
        gone = gone or number % 50 == 0 and rogue.drain()
        if gone:
            break
    assert memory(agent.pids()) - before < 56 * MIB
    if not gone:
        rogue.send(b"X", FS)
    wait_for(lambda: memory(agent.pids()) - before < 8 * MIB, 10, "memory given back")
    with Rogue(agent) as another:
        rogue.socket.close()
        still_works(another, folder)


def test_replayed_calls(rogue, folder):
    """Numbers only grow: the same frame again ends the link instead of being served again."""
    assert rogue.start(FS)
    kind, handle = rogue.call(FS, "guest-file-open", open_args(f"{folder}/logs/f"))
    assert kind == REPLY
    packet = frame(CALL, "guest-file-close", handle, rogue.next + 77)
    answers = []
    for _ in range(3):
        rogue.send(b"P", FS, packet)
        kind, _, data = rogue.until(b"P", b"E")
        answers.append(FRAME.unpack(data[:FRAME.size])[1] if kind == b"P" else None)
        if kind == b"E":
            break
    assert answers[0] == REPLY and REPLY not in answers[1:]
    still_works(rogue, folder)


def test_a_descriptor_with_a_frame_goes_nowhere(agent, rogue, folder):
    assert rogue.start(INFO)
    useful(rogue, INFO, folder)  # it has started, and opened what it keeps
    pid = agent.pid("info")
    before = len(os.listdir(f"/proc/{pid}/fd"))
    for n in range(200):
        rogue.send(b"D", INFO, frame(CALL, "guest-get-host-name", number=rogue.next + n + 1))
        if rogue.until(b"P", b"E", b"N")[0] != b"P":
            break
    assert not os.path.exists(f"/proc/{pid}/fd") or len(os.listdir(f"/proc/{pid}/fd")) <= before
    rogue.send(b"D", FS)
    still_works(rogue, folder)


def test_a_descriptor_to_the_supervisor_ends_the_front(agent, rogue):
    pid = agent.pid("front")
    fds = len(os.listdir(f"/proc/{agent.process.pid}/fd"))
    rogue.send(b"C", 0, CONTROL.pack(MAGIC, START, 4))
    rogue.until(b"C")
    assert agent.pid("front") == pid
    assert len(os.listdir(f"/proc/{agent.process.pid}/fd")) <= fds + 1


def test_flood_without_reading(agent, rogue, folder):
    """The worker meets a full queue and waits; nothing grows, nobody else is held up."""
    assert rogue.start(INFO)
    before = memory(agent.pids())
    rogue.socket.settimeout(0.2)
    sent = 0
    try:
        for sent in range(100000):
            rogue.send(b"P", INFO, frame(CALL, "guest-get-osinfo", number=rogue.next + sent + 1))
    except socket.timeout:
        pass
    assert sent > 100
    assert memory(agent.pids()) - before < 8 * MIB
    rogue.socket.close()
    with Rogue(agent) as another:
        still_works(another, folder)


def test_forged_records_are_claims_and_do_not_break_the_chain(agent, rogue, folder):
    dice = random.Random(3)
    for size in (0, 1, 8, 100, 5000, 20000):
        rogue.send(b"A", 0, dice.randbytes(size))
    still_works(rogue, folder)
    assert error_code(rogue.call(FS, "guest-file-open", open_args(f"{folder}/secret"))) == 1202
    wait_for(lambda: [row for row in agent.audit("refused") if row["src"] == "main/fs"], 5, "the worker's own record")
    assert not [row for row in agent.audit() if row["src"] == "main/front" and row["kind"] in ("act", "result", "refused")]
    agent.verify()


def test_record_flood_does_not_push_out_others(agent, rogue, folder):
    """The log is behind: the front's queue is full, and what it cannot queue is its own loss."""
    pid = agent.pid("audit")
    os.kill(pid, signal.SIGSTOP)
    full = 0
    for _ in range(10000):
        rogue.send(b"A", 0, bytes(200))
        while select.select([rogue.socket], [], [], 0)[0]:  # else the rogue would be stuck telling us
            full += rogue.event()[0] == b"N"
    assert full > 1000
    assert rogue.start(FS)
    answer = rogue.call(FS, "guest-file-open", open_args(f"{folder}/secret"))
    number = struct.unpack("=HHIQ", answer[1][:16])[3]
    os.kill(pid, signal.SIGCONT)
    assert agent.record(number, 20)["kind"] == "refused"


def test_scribbled_state_page(agent, rogue, folder):
    """The supervisor and the successor read it: any bytes there cost this front's own counters only."""
    dice = random.Random(9)
    for pattern in (b"\xff" * 4096, bytes(4096), dice.randbytes(4096)):
        rogue.send(b"S", 0, pattern)
        still_works(rogue, folder)
        assert agent.status()["processes"]
    pid = agent.pid("front")
    rogue.socket.close()
    wait_for(lambda: pid not in agent.pids(), 5, "the front to leave")
    with Rogue(agent) as another:
        still_works(another, folder)
