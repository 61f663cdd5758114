"""Executions under attack: a spool that stands still, an exec worker that dies and leaves another's executions, programs as
large as a user can make them, and what a program is given to read and write.
"""

import os
import pathlib
import signal
import time

import pytest

from execs import Pair, begin, carriers, finish, mark, nobody_carries, rule, run, scratch
from harness import kill, wait_for
from test_reload import adopt

pytestmark = pytest.mark.root
SIZE = 1 << 40


@pytest.fixture(scope="module")
def place():
    with scratch() as path:
        yield path


@pytest.fixture(scope="module")
def agent(place):
    rules = [rule("true", "/bin/true"), rule("dash", "/bin/dash", "rest any dash-ok", "stdin yes"),
             rule("plain", "/bin/sleep", "rest any", "sandbox plain", "user nobody"),
             rule("bash", "/bin/bash", "rest any dash-ok", 'env "MARK"', "sandbox none", "user nobody"),
             rule("any", "any", "sandbox plain", "user nobody", on="beta"),
             "allow bulkhead-exec-signal on alpha\n"]
    with Pair(place, *rules) as pair:
        assert pair.status()["policy"]["state"] == "loaded", pair.log_text()
        yield pair


def children(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def fill(client):
    """Starts until the spool is told no more: the numbers that it was told of."""
    numbers = []
    for _ in range(1000):
        reply = client.call("guest-exec", {"path": "/bin/true"}, timeout=30)
        if "error" in reply:
            assert "cannot be told" in reply["error"]["desc"]
            return numbers
        numbers.append(reply["return"]["pid"])
    raise AssertionError("its queue has no end")


def test_spool_that_stands_still(agent):
    """What it cannot be told of is ended, recorded and forgotten; the rest is there when it goes on."""
    with agent.client() as client:
        run(client, "/bin/true")
        spool, owner = agent.pid("spool"), agent.pid("exec")
        os.kill(spool, signal.SIGSTOP)
        try:
            numbers = fill(client)
            wait_for(lambda: not children(owner), 5, "no keeper to be left, dead or alive")
        finally:
            os.kill(spool, signal.SIGCONT)
        for _ in range(3):
            assert run(client, "/bin/true").exitcode == 0
        assert all(finish(client, number).exitcode == 0 for number in numbers)
        wait_for(lambda: agent.status()["channels"][0]["executions"] == 0, 5, "nothing to run")
    assert agent.pid("spool") == spool and agent.pid("exec") == owner
    assert not [row for row in agent.audit() if "violation" in str(row)]


def test_cancelled_though_its_exec_worker_died(agent):
    word = mark()
    with agent.client() as client:
        number = begin(client, "/bin/bash", "-c", "sleep 50; true", env=[f"MARK={word}"])
        wait_for(lambda: carriers(word), 5, "it to run")
        kill(agent.pid("exec"))
        wait_for(lambda: "return" in client.call("guest-exec", {"path": "/bin/true"}, timeout=30), 10, "another exec worker")
        client.ok("bulkhead-exec-signal", {"pid": number, "signal": "kill"}, timeout=30)
        nobody_carries(word)
        assert finish(client, number).signal == signal.SIGKILL


def test_program_without_end(agent, place):
    """A user makes his program as large as a file can be: its digest is not known, and nobody waits for it."""
    path = place / "large"
    path.write_bytes(pathlib.Path("/bin/true").read_bytes())
    os.truncate(path, SIZE)
    os.chown(path, 65534, 65534)
    path.chmod(0o755)
    with agent.client(channel="beta") as client:
        start = time.monotonic()
        assert run(client, path).exitcode == 0
        assert time.monotonic() - start < 5
    assert [row for row in agent.audit() if str(path) in str(row) and "sha256 unknown" in str(row)]


@pytest.mark.parametrize("program", ["/bin/dash", "/bin/bash"])
def test_own_pipes_by_name(agent, program):
    with agent.client() as client:
        got = run(client, program, "-c", "echo out >/dev/stdout; echo err >/dev/stderr", capture="separated")
    assert (got.exitcode, got.out, got.err) == (0, b"out\n", b"err\n")


def test_input_is_not_executed(agent):
    with agent.client() as client:
        got = run(client, "/bin/dash", "-c", "/proc/self/fd/0; echo $?; head -c 4 /dev/stdin | tail -c 3", capture="merged",
                  stdin=pathlib.Path("/bin/true").read_bytes())
    assert b"126\nELF" in got.out, got


def test_started_though_its_exec_worker_died(agent):
    """What runs without a sandbox outlives the exec worker, and so does the way there."""
    word = mark()
    with agent.client() as client:
        number = begin(client, "/bin/bash", "-c", "sleep 50; true", env=[f"MARK={word}"])
        wait_for(lambda: carriers(word), 5, "it to run")
        spawn = agent.pid("spawn")
        kill(agent.pid("exec"))
        wait_for(lambda: "return" in client.call("guest-exec", {"path": "/bin/true"}, timeout=30), 10, "another exec worker")
        assert run(client, "/bin/bash", "-c", "exit 4").exitcode == 4
        assert carriers(word) and agent.pid("spawn") == spawn
        client.ok("bulkhead-exec-signal", {"pid": number, "signal": "kill"}, timeout=30)
        assert finish(client, number).signal == signal.SIGKILL


def test_reload_changes_who_is_asked(agent, place):
    """Where every rule runs without a sandbox the front asks bulkhead-spawn itself; else the exec worker does. One that has
    something to run is asked by both in turn, and minds neither."""
    word = mark()
    bare = rule("bash", "/bin/bash", "rest any dash-ok", 'env "MARK"', "sandbox none", "user nobody")
    signal_too = "allow bulkhead-exec-signal on alpha\n"
    mixed = [bare, rule("true", "/bin/true"), signal_too]
    with Pair(place / "turns", *mixed) as pair, pair.client() as client:
        number = begin(client, "/bin/bash", "-c", "sleep 50; true", env=[f"MARK={word}"])
        wait_for(lambda: carriers(word), 5, "it to run")
        spawn = pair.pid("spawn")
        for rules in ([bare, signal_too], mixed, [bare, signal_too], mixed):
            adopt(pair, pair.text(*rules))
            wait_for(lambda: "return" in client.call("guest-exec", {"path": "/bin/bash", "arg": ["-c", "true"]}, timeout=30), 10,
                     "whoever is to be asked now")
            assert run(client, "/bin/bash", "-c", "exit 4").exitcode == 4
            assert carriers(word) and pair.pid("spawn") == spawn
        client.ok("bulkhead-exec-signal", {"pid": number, "signal": "kill"}, timeout=30)
        assert finish(client, number).signal == signal.SIGKILL
        assert not [row for row in pair.audit() if "violation" in str(row)]
