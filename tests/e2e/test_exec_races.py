"""A program, its folder, a link to it or its interpreter changes between the look and the start, hundreds of thousands of times:
what runs is what was looked at, or nothing does. And the sockets that would lead out of a sandbox lead nowhere.
"""

import os
import pathlib
import socket
import subprocess

import pytest

from execs import CONNECT, FLIP, SHOW, Pair, compile_c, copy, digest, finish, request, rule, run, scratch, trusted_place, write
from harness import split_error

pytestmark = pytest.mark.root
NOBODY = 65534
EVIL = 'int main(void) { puts("evil"); return 0; }'
RACES = ["digest", "owner", "mode", "link", "folder", "interpreter", "set-uid"]
FLIPS = 200000
SOCKETS = ["/run/systemd/private", "/run/dbus/system_bus_socket", "/run/docker.sock", "/run/listed.sock", "@bh-abstract"]


def furnish(place, evil, good):
    """{name of a race: (the name that changes, the one that it changes with)}; `tool` of each folder is what is asked for."""
    pairs = {}
    for name in RACES:
        folder = place / name
        copy(good, folder / "tool")
        pairs[name] = folder / "tool", copy(evil, folder / "evil", owner=NOBODY)
    os.chown(place / "digest" / "evil", 0, 0)
    os.chown(place / "mode" / "evil", 0, 0)
    (place / "mode" / "evil").chmod(0o757)
    (place / "link" / "evil").unlink()
    (place / "link" / "evil").symlink_to(copy(evil, place / "open" / "evil"))
    (place / "open").chmod(0o777)
    for inner, program, owner in (("in", good, 0), ("out", evil, NOBODY)):
        copy(program, place / "folder" / inner / "tool")
        os.chown(place / "folder" / inner, owner, owner)
    pairs["folder"] = place / "folder" / "in", place / "folder" / "out"
    write(place / "interpreter" / "tool", f"#!{place}/interpreter/good\n")
    pairs["interpreter"] = copy(good, place / "interpreter" / "good"), place / "interpreter" / "evil"
    os.chown(place / "set-uid" / "evil", 0, 0)
    (place / "set-uid" / "evil").chmod(0o6777)
    return pairs


def asked_for(place, name):
    return place / "folder" / "in" / "tool" if name == "folder" else place / name / "tool"


@pytest.fixture(scope="module")
def place():
    with trusted_place() as path:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", "/run"], check=True)
        try:
            yield path
        finally:
            subprocess.run(["umount", "-l", "/run"], check=True)


@pytest.fixture(scope="module")
def base():
    with scratch() as path:
        yield path


@pytest.fixture(scope="module")
def racing(place, base):
    good, evil = compile_c(SHOW, place / "show", "-static"), compile_c(EVIL, place / "evil", "-static")
    pairs = furnish(place, evil, good)
    rules = [rule(name, asked_for(place, name), "rest any dash-ok", *([f'sha256 "{digest(good)}"'] if name == "digest" else []))
             for name in RACES]
    with Pair(base / "races", *rules) as agent:
        yield agent, pairs


def ask(client, path, seen):
    reply = client.call("guest-exec", request(path, "x"))
    if "error" in reply:
        assert split_error(reply)[3], f"a refusal without a record: {reply}"
        seen["refused"] += 1
        return
    got = finish(client, reply["return"]["pid"])
    assert got.exitcode == 0 and b"[x]" in got.out and b"evil" not in got.out, got
    seen["good"] += 1


@pytest.mark.parametrize("name", RACES)
def test_swapped_between_the_look_and_the_start(racing, place, name):
    """As often as FLIPS, and again until both were met: refusals are slowed down, and a busy machine is slow itself."""
    agent, pairs = racing
    seen = {"good": 0, "refused": 0}
    with agent.client() as client:
        for _ in range(10):
            flips = subprocess.Popen([FLIP, *pairs[name], str(FLIPS)])
            while flips.poll() is None:
                ask(client, asked_for(place, name), seen)
            assert flips.returncode == 0
            if min(seen.values()) >= 5:
                break
    assert seen["good"] and seen["refused"], f"nothing raced: {seen}"


def test_after_the_races(racing, place):
    """What was swapped an even number of times is as it was, and allowed again; nothing of the other ran."""
    agent, pairs = racing
    with agent.client() as client:
        for name in RACES:
            assert b"[x]" in run(client, asked_for(place, name), "x").out
    agent.verify()


# Sockets.

@pytest.fixture(scope="module")
def listening(place):
    """All of them may be connected to by everybody, as far as permissions go."""
    sockets = []
    for name in SOCKETS:
        one = socket.socket(socket.AF_UNIX)
        if name.startswith("/"):
            pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
        one.bind(name.replace("@", "\0"))
        if name.startswith("/"):
            os.chmod(name, 0o777)
        one.listen(64)
        sockets.append(one)
    yield SOCKETS
    for one in sockets:
        one.close()


WAYS = {"minimal": ["sandbox minimal"], "minimal-root": ["sandbox minimal", "user root"], "diag": ["sandbox diag"],
        "diag-root": ["sandbox diag", "user root"], "diag-net": ["sandbox diag", "user root", "net host"],
        "minimal-net": ["sandbox minimal", "net host"],
        "diag-listed": ["sandbox diag", "user root", 'socket "/run/listed.sock"'],
        "minimal-listed": ["sandbox minimal", "user root", 'socket "/run/listed.sock"'],
        "plain": ["sandbox plain", "user nobody"], "none": ["sandbox none", "user nobody"]}


@pytest.fixture(scope="module")
def connecting(place, base, listening):
    program = compile_c(CONNECT, place / "connect", "-static")
    rules = [rule(name, copy(program, place / f"connect-{name}"), "rest any dash-ok", *lines) for name, lines in WAYS.items()]
    with Pair(base / "sockets", *rules) as agent:
        yield agent


def connected(output):
    rows = dict(line.split(" ", 1) for line in output.splitlines())
    assert set(rows) == set(SOCKETS)
    return {name for name, result in rows.items() if result == "connected"}


def test_the_sockets_are_there(connecting, place):
    assert connected(subprocess.run([place / "connect", *SOCKETS], capture_output=True, text=True, check=True).stdout) == set(SOCKETS)


@pytest.mark.parametrize("way", WAYS)
def test_sockets(connecting, place, way):
    """Neither systemd's nor the bus's nor docker's is reached, as root or not; one that the rule lists is, where they are fenced."""
    open_ones = {"plain": set(SOCKETS), "none": set(SOCKETS), "diag-listed": {"/run/listed.sock"}, "minimal-listed": {"/run/listed.sock"}}
    with connecting.client() as client:
        got = run(client, place / f"connect-{way}", *SOCKETS)
    assert got.exitcode == 0 and connected(got.out.decode()) == open_ones.get(way, set()), got.out.decode()
