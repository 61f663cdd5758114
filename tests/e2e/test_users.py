"""guest-get-users in a mount namespace of the agent's own: what lies in its /run is the test's, never the machine's."""

import os
import pathlib
import time

import pytest

from logins import DEAD, own_run, record

pytestmark = pytest.mark.root

@pytest.fixture
def users(start, folder):
    """users(utmp, sessions, policy): the answer where these lie in /run; utmp None: there is no such file."""
    def run(utmp=None, sessions=(), policy="standard"):
        agent = start(policy, prefix=own_run(folder, utmp, sessions))
        assert "not visible" not in agent.log_text()
        with agent.client() as client:
            return client.ok("guest-get-users"), agent

    yield run


utmp_layout = pytest.mark.skipif(os.uname().machine not in ("x86_64", "i686"), reason="another layout of utmp")


@utmp_layout
def test_utmp(users):
    full = b"abcdefghijklmnopqrstuvwxyz012345"
    got, _ = users(record(b"bob", 2000, 500000) + record(b"root", 1000) + record(b"gone", 1, 0, DEAD) +
                   record(b"bob", 1999, 250000) + record(b"bob", 3000) + record(full, 5) + record(b"", 6) +
                   record(b"caf\xc3\xa9\xff", 7) + b"cut")
    assert got == [{"user": "bob", "login-time": 1999.25}, {"user": "root", "login-time": 1000},
                   {"user": full.decode(), "login-time": 5}, {"user": "caf\u00e9\ufffd", "login-time": 7}]


@utmp_layout
def test_utmp_is_read_anew(users):
    got, agent = users(b"")
    assert got == []
    pathlib.Path(f"/proc/{agent.process.pid}/root/run/utmp").write_bytes(record(b"late", int(time.time())))
    with agent.client() as client:
        assert [row["user"] for row in client.ok("guest-get-users")] == ["late"]


def session(user, realtime, kind="user", state="active"):
    return f"# This is private data. Do not parse.\nUID=1000\nUSER={user}\nACTIVE=1\nSTATE={state}\n" \
           f"TYPE=tty\nCLASS={kind}\nREALTIME={realtime}\nMONOTONIC=1\n"


SESSIONS = [("3", session("bob", 1700000000250000)), ("c1", session("gdm", 1, "greeter")),
            ("4", session("bob", 1600000000000000)), ("5", session("ann", 1500000000000000, state="online")),
            ("6", session("carl", 1, state="closing")), ("7", session("root", 1, "background"))]


def test_sessions_where_there_is_no_utmp(users):
    got, _ = users(None, SESSIONS)
    assert got == [{"user": "ann", "login-time": 1500000000}, {"user": "bob", "login-time": 1600000000}]


@utmp_layout
def test_utmp_counts_before_sessions(users):
    assert users(record(b"eve", 1), SESSIONS)[0] == [{"user": "eve", "login-time": 1}]


def test_nobody(users):
    assert users()[0] == []


def test_a_session_that_begins_later(users):
    _, agent = users()
    pathlib.Path(f"/proc/{agent.process.pid}/root/run/systemd/sessions/9").write_text(session("late", 2000000))
    with agent.client() as client:
        assert client.ok("guest-get-users") == [{"user": "late", "login-time": 2}]


@pytest.mark.parametrize("text,names", [
    ('use standard\ndeny guest-get-users { users "svc-*" "b?b" }', ["ann"]),
    ('allow guest-get-users { users "bob" }', ["bob"]),
    ('allow guest-get-users { users "nobody" }', []),
])
def test_filters(users, text, names):
    sessions = SESSIONS + [("8", session("svc-web", 1))]
    assert [row["user"] for row in users(None, sessions, f"policy 1\n{text}\n")[0]] == names


def test_neither_passwords_nor_sockets_are_near(users):
    _, agent = users(None, SESSIONS)
    root = f"/proc/{agent.pid('info')}/root"
    assert os.listdir(root + "/run") == ["systemd"]
    assert os.listdir(root + "/run/systemd") == ["sessions"]
