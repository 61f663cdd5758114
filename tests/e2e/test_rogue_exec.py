"""A front that was taken over, before the processes that run programs: they decide by themselves, and it gets from them what
the policy grants its channel, whatever it asks.
"""

import shutil
import struct

import pytest

from harness import Agent, wait_for
from test_rogue_front import BUILD, CALL, MORE, REPLY, Rogue, WORKERS, error_code, frame, text

pytestmark = pytest.mark.root

POLICY = """policy 1
commands 49
allow @sync
rule true: allow @exec {
    program "/usr/bin/true"
    args    "x"
}
"""
NONE = POLICY.replace("args ", "user root\n    sandbox none\n    args ")
EXEC, SPOOL = WORKERS["exec"], WORKERS["spool"]
NOT_GRANTED, NO_RULE, BAD_PID = 1201, 1202, 1109


def run_args(path, *args):
    """Of guest-exec and bulkhead-exec: no environment, nothing of what follows it."""
    given = b"".join(text(arg) for arg in args)
    return text(path) + (b"\1" + struct.pack("=I", len(args)) + given if args else b"\0") + b"\0" * 3


@pytest.fixture(params=[POLICY, NONE], ids=["minimal", "none"])
def rogue(folder, request):
    programs = folder / "bin"
    programs.mkdir()
    for path in BUILD.glob("bulkhead*"):
        if path.is_file() and path.stat().st_mode & 0o100:
            shutil.copy(path, programs)
    shutil.copy(BUILD / "tests" / "e2e" / "rogue-front", programs / "bulkhead-front")
    agent = Agent(folder / "agent", request.param, build=programs)
    agent.answers = lambda: agent.socket.exists() and (agent.folder / "bulkhead" / "status.json").exists()
    with agent, Rogue(agent) as connection:
        assert connection.start(EXEC)
        connection.agent, connection.bare = agent, request.param is NONE
        yield connection


def test_what_the_policy_grants(rogue):
    kind, payload = rogue.call(EXEC, "guest-exec", run_args("/usr/bin/true", "x"))
    assert kind == REPLY and len(payload) == 8
    assert rogue.start(SPOOL)
    wait_for(lambda: rogue.call(SPOOL, "guest-exec-status", payload)[1][0] == 1, 5, "its end")


@pytest.mark.parametrize("args", [("/usr/bin/true",), ("/usr/bin/true", "y"), ("/usr/bin/true", "x", "x"), ("/usr/bin/id", "x"),
                                  ("/bin/sh", "-c"), ("true", "x")], ids=str)
def test_and_no_more(rogue, args):
    assert error_code(rogue.call(EXEC, "guest-exec", run_args(*args))) == NO_RULE


def test_what_is_not_granted_itself(rogue):
    """The rule is there, the command is not: bulkhead-exec and its kin are for who is granted @extension."""
    assert error_code(rogue.call(EXEC, "bulkhead-exec", run_args("/usr/bin/true", "x"))) == NOT_GRANTED
    assert error_code(rogue.call(EXEC, "bulkhead-exec-signal", struct.pack("=q", 1) + b"\0")) == NOT_GRANTED
    assert rogue.start(SPOOL)
    assert error_code(rogue.call(SPOOL, "bulkhead-exec-list")) == NOT_GRANTED
    assert error_code(rogue.call(SPOOL, "bulkhead-exec-read", struct.pack("=q", 1) + b"\0")) == NOT_GRANTED
    assert error_code(rogue.call(SPOOL, "bulkhead-exec-write", struct.pack("=q", 1) + b"\0\0")) == NOT_GRANTED
    assert not rogue.agent.audit("act")


@pytest.mark.parametrize("number", [0, -1, 1, 2**53, 2**63 - 1, -2**63])
def test_numbers_that_are_nobodys(rogue, number):
    assert rogue.start(SPOOL)
    assert error_code(rogue.call(SPOOL, "guest-exec-status", struct.pack("=q", number))) == BAD_PID


def test_other_workers_commands_end_the_one_that_is_asked(rogue):
    """A frame that is no call of this process is no request: nothing is to be negotiated with who sends it."""
    for peer, command in ((EXEC, "guest-exec-status"), (SPOOL, "guest-exec"), (EXEC, "guest-file-open")):
        assert rogue.start(peer)
        assert rogue.call(peer, command, b"") is None
    wait_for(lambda: rogue.start(EXEC), 10, "a successor")
    kind, _ = wait_for(lambda: rogue.call(EXEC, "guest-exec", run_args("/usr/bin/true", "x")), 10, "it")
    assert kind == REPLY


def test_half_a_call_stays_behind(rogue):
    """Who asks bulkhead-spawn may die in the middle, and its successor's calls are of the same epoch: they are served. Nobody
    else is asked like that."""
    rogue.next += 1
    rogue.send(b"P", EXEC, frame(CALL, "guest-exec", run_args("/usr/bin/true", "x")[:5], rogue.next, MORE))
    answer = rogue.call(EXEC, "guest-exec", run_args("/usr/bin/true", "x"))
    assert answer and answer[0] == REPLY if rogue.bare else answer is None
