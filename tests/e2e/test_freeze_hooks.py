"""Freeze hooks through the whole agent: that they are run around a freeze, that none of them keeps it from anything, and that
whoever dies, what a freeze hook has begun is undone.

Hooks lie in a file system of the test's own, since their folders must be root's; each of them writes what it is about, and
when, into a file there, and into a file of the file system that is to be frozen: it must not be at that moment.
"""

import json
import os
import pathlib
import signal
import time

import pytest

from harness import PEER_PROGRAM, Client, kill, name_of, proc_status, split_error, stat_of, wait_for
from images import NamedPeer, record, wait_until_thawed
from test_user import AS_USER, own

pytestmark = pytest.mark.root
assert own  # a fixture

PLACE = pathlib.Path("/mnt")
SECOND = 1.0
CAP_SYS_MODULE, CAP_SYS_BOOT = 16, 22


class Hooks:
    """The hooks of a test, and what they have written."""

    def __init__(self, world):
        self.world = world
        world.mount("-t", "tmpfs", "-o", "mode=755", "none", at=PLACE)
        self.mount = world.new("m")
        self.log = PLACE / "log"

    def write(self, name, body="", folder=PLACE):
        path = pathlib.Path(folder) / name
        path.write_text(f'#!/bin/sh\necho "{name} $1" >>{self.log}\necho "{name} $1" >>{self.mount.path}/trace\n{body}\n'
                        f'echo "{name} $1 ended" >>{self.log}\n')
        path.chmod(0o755)
        return path

    def lines(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def begun(self):
        """What was run, in order: "NAME freeze", "NAME thaw"."""
        return [line for line in self.lines() if not line.endswith(" ended")]

    def settled(self, *expected, twice=False):
        """Exactly this was run, and after a while nothing more; the last maybe `twice`."""
        wait_for(lambda: len(self.begun()) >= len(expected), 10, f"{expected}, but there is {self.lines()}")
        time.sleep(0.4)
        assert self.begun() in [list(expected)] + [[*expected, expected[-1]]] * twice

    def agent(self, hook, *lines, option="-F"):
        agent = self.world.agent("allow @sync, @info", *lines)
        agent.options.append(f"{option}{hook}")
        return agent

    def start(self, hook, *lines):
        return self.agent(hook, *lines).start()

    def pid(self, name="pid"):
        return int(wait_for(lambda: (PLACE / name).exists() and (PLACE / name).read_text().strip(), 5, f"the hook's {name}"))


@pytest.fixture
def hooks(world):
    return Hooks(world)


def frozen_by(hooks, client):
    return client.call("guest-fsfreeze-freeze-list", {"mountpoints": [hooks.mount.path]}, timeout=20)


def ask(client, hooks):
    """Sends the request and does not wait."""
    client.send(json.dumps({"execute": "guest-fsfreeze-freeze-list", "arguments": {"mountpoints": [hooks.mount.path]}}).encode() +
                b"\n")


def status(client):
    return client.ok("guest-fsfreeze-status")


def expect_nothing_frozen(hooks, client):
    assert status(client) == "thawed" and not hooks.mount.frozen()


def failure(reply):
    """The text of an error of a hook."""
    kind, text, code, _ = split_error(reply)
    assert (kind, code) == ("GenericError", 1304), text
    return text


def records(agent, kind=None):
    """Of the hooks, once the last is there."""
    return [row for row in agent.audit(kind) if row.get("src", "").endswith("hook")]


def keeper(agent):
    """pid of bulkhead-hook, or None."""
    return next((pid for pid in agent.pids() if name_of(pid) == "bulkhead-hook"), None)


def bounding_set(pid):
    return int(proc_status(pid)["CapBnd"], 16)


def gone(pid):
    stat = stat_of(pid)
    return stat is None or stat[2] == "Z"


# What they are run for.

@pytest.mark.parametrize("how", ["-F", "--fsfreeze-hook=", "file"])
def test_before_the_freeze_and_after_the_thaw(hooks, how, monkeypatch):
    hook = hooks.write("hook")
    if how == "file":
        conf = PLACE / "qemu-ga.conf"
        conf.write_text(f"[general]\nfsfreeze-hook={hook}\n")
        monkeypatch.setenv("QGA_CONF", str(conf))
    agent = hooks.world.agent("allow @sync, @info") if how == "file" else hooks.agent(hook, option=how)
    with agent.start().client() as client:
        for number in range(1, 3):
            assert frozen_by(hooks, client) == {"return": 1}
            assert hooks.mount.frozen() and status(client) == "frozen"
            assert hooks.lines()[-1] == "hook freeze ended"
            assert client.ok("guest-fsfreeze-thaw") == 1
            expect_nothing_frozen(hooks, client)
            both = ["hook freeze", "hook thaw"] * number
            assert hooks.begun() == both and hooks.mount.file("trace").read_text().splitlines() == both
    rows = wait_for(lambda: len(rows := records(agent)) >= 8 and rows, 5, "records")
    assert [row["kind"] for row in rows] == ["act", "result"] * 4
    assert [row["text"].split()[0].rstrip(":") for row in rows[:4]] == ["freeze"] * 2 + ["thaw"] * 2
    assert {row["obj"] for row in rows} == {str(hook)}
    agent.verify()


def test_the_folder_comes_after_the_file(hooks):
    """In the order of names, and the other way round for a thaw. Names that are none are passed over."""
    for name in ("upper", "work"):
        (PLACE / name).mkdir()
    hooks.world.mount("-t", "overlay", "overlay", "-o", f"lowerdir=/etc,upperdir={PLACE}/upper,workdir={PLACE}/work", at="/etc")
    folder = pathlib.Path("/etc/bulkhead/freeze.d")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("b", "a", "10_x", "Z"):
        hooks.write(name, folder=folder)
    hooks.write("a.bak", folder=folder)
    default = pathlib.Path("/etc/qemu/fsfreeze-hook")
    default.parent.mkdir(exist_ok=True)
    default.unlink(missing_ok=True)
    hooks.write("fsfreeze-hook", folder=default.parent)
    order = ["fsfreeze-hook", "10_x", "Z", "a", "b"]
    agent = hooks.start("")
    with agent.client() as client:
        assert frozen_by(hooks, client) == {"return": 1}
        assert client.ok("guest-fsfreeze-thaw") == 1
    assert hooks.begun() == [f"{name} freeze" for name in order] + [f"{name} thaw" for name in reversed(order)]
    assert "a.bak is passed over" in agent.log_text()


def test_none_is_run_where_none_is_configured(hooks):
    """Then nothing of root's is kept for them either."""
    agent = hooks.world.start()
    with agent.client() as client:
        assert frozen_by(hooks, client) == {"return": 1}
        assert keeper(agent) is None
        assert client.ok("guest-fsfreeze-thaw") == 1
        assert keeper(agent) is None
    own_bound = bounding_set(os.getpid())
    assert bounding_set(agent.process.pid) & own_bound == bounding_set(agent.process.pid) != own_bound
    assert not bounding_set(agent.process.pid) & (1 << CAP_SYS_MODULE | 1 << CAP_SYS_BOOT)
    other = hooks.start(hooks.write("hook"))
    with other.client() as client:
        assert frozen_by(hooks, client) == {"return": 1}
        assert bounding_set(other.process.pid) == bounding_set(keeper(other)) == own_bound
        rows = wait_for(lambda: (rows := other.processes()) and all(row["fences"] for row in rows) and rows, 5, "fences")
        assert {"front", "audit", "storage", "thaw"} <= {row["role"] for row in rows}
        assert not any(bounding_set(row["pid"]) & 1 << CAP_SYS_BOOT for row in rows if row["role"] != "hook")
        assert client.ok("guest-fsfreeze-thaw") == 1


# What fails.

def test_a_freeze_hook_that_fails(hooks):
    """Nothing is frozen, it is named, and it is undone; what it prints is told as far as it is text."""
    hook = hooks.write("hook", 'if [ "$1" = freeze ]; then printf "no \\033 space\\n"; exit 3; fi; sleep 0.3')
    agent = hooks.start(hook)
    with agent.client() as client:
        text = failure(frozen_by(hooks, client))
        assert text.startswith("nothing is frozen: ") and f"the freeze hook {hook} ended with status 3" in text
        assert "no \\x1b space" in text and "\033" not in text
        expect_nothing_frozen(hooks, client)
        assert hooks.lines() == ["hook freeze", "hook thaw", "hook thaw ended"], "undone before the client hears of it"
        wait_for(lambda: keeper(agent) is None, 5, "the end of what runs hooks")
        hooks.write("hook")
        assert frozen_by(hooks, client) == {"return": 1} and client.ok("guest-fsfreeze-thaw") == 1
    row = wait_for(lambda: next((row for row in records(agent, "result") if "status 3" in row["text"]), None), 5, "the record")
    assert row["code"] == "BH1304" and "no \\x1b space" in row["text"]


def test_a_thaw_hook_that_fails(hooks):
    """All is thawed, and the client is told."""
    hook = hooks.write("hook", '[ "$1" = freeze ] || { echo no space; exit 4; }')
    agent = hooks.start(hook)
    with agent.client() as client:
        assert frozen_by(hooks, client) == {"return": 1}
        text = failure(client.call("guest-fsfreeze-thaw"))
        assert "the file systems are thawed, but" in text and f"the thaw hook {hook} ended with status 4: no space" in text
        expect_nothing_frozen(hooks, client)
        assert client.ok("guest-fsfreeze-thaw") == 0
        hooks.settled("hook freeze", "hook thaw")


def with_mode(path, mode):
    path.chmod(mode)
    return path


def owned(path):
    os.chown(path, 65534, 65534)
    return path


def linked(path):
    (PLACE / "link").symlink_to(path)
    return PLACE / "link"


def in_open_folder(path):
    (PLACE / "open").mkdir()
    (PLACE / "open").chmod(0o1777)
    return path.rename(PLACE / "open" / "hook")


def in_linked_folder(path):
    (PLACE / "folder").symlink_to(PLACE)
    return PLACE / "folder" / path.name


def folder_for_a_file(path):
    path.unlink()
    path.mkdir()
    return path


def removed(path):
    path.unlink()
    return path


UNFIT = {"missing": (removed, "does not exist"), "writable": (lambda path: with_mode(path, 0o757), "others than root may write"),
         "group": (lambda path: with_mode(path, 0o775), "others than root may write"), "owned": (owned, "belongs to uid 65534"),
         "link": (linked, "is a symbolic link"), "open folder": (in_open_folder, "others than root may write to the folder"),
         "linked folder": (in_linked_folder, "is a symbolic link"), "folder": (folder_for_a_file, "is not a regular file"),
         "not executable": (lambda path: with_mode(path, 0o644), "is not executable")}


@pytest.mark.parametrize("case", UNFIT)
def test_a_hook_that_is_not_fit_is_not_run(hooks, case):
    make, sentence = UNFIT[case]
    hook = make(hooks.write("hook"))
    agent = hooks.start(hook)
    with agent.client() as client:
        for _ in range(2):
            text = failure(frozen_by(hooks, client))
            assert text.startswith("nothing is frozen: ") and sentence in text, text
            expect_nothing_frozen(hooks, client)
        assert client.ok("guest-fsfreeze-thaw") == 0
    assert hooks.lines() == []
    row = wait_for(lambda: records(agent, "refused"), 5, "the record")[0]
    assert row["code"] == "BH1304" and row["obj"] == str(hook) and sentence in row["text"]


def test_a_hook_that_is_made_unfit_meanwhile(hooks):
    """Of a thaw it is told, and the file systems are thawed nevertheless."""
    hook = hooks.write("hook")
    with hooks.start(hook).client() as client:
        assert frozen_by(hooks, client) == {"return": 1}
        hook.chmod(0o757)
        assert "others than root may write" in failure(client.call("guest-fsfreeze-thaw"))
        expect_nothing_frozen(hooks, client)
    hooks.settled("hook freeze")


def test_an_ordinary_user_has_no_hooks(hooks, own, folder):
    agent = own(hooks.world.policy("allow @sync, @info"), f"-F{hooks.write('hook')}")
    with agent, agent.client() as client:
        text = failure(frozen_by(hooks, client))
        assert "the agent was not started by root; start it as root, or without hooks" in text
        expect_nothing_frozen(hooks, client)
    assert AS_USER and hooks.lines() == []


# What takes its time, or leaves something behind.

def two_channels(hooks, hook, *lines):
    alpha, beta = (hooks.world.path / f"{name}.sock" for name in ("alpha", "beta"))
    world = hooks.world
    agent = world.agent(f"channel alpha unix-listen:{alpha}", f"channel beta unix-listen:{beta}",
                        "allow @sync, @info on alpha, beta", *lines)
    text = (agent.folder / "policy").read_text()
    agent.write_policy(text.replace("allow @freeze on alpha {", "allow @freeze on alpha, beta {"))
    agent.options.append(f"-F{hook}")
    agent.socket = alpha
    return agent.start(), beta


def expect_answers(path, seconds):
    """Another channel serves as if nothing was."""
    with Client(path) as client:
        slowest, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            client.ok("guest-ping"), client.ok("guest-get-osinfo")
            assert status(client) == "thawed"
            slowest = max(slowest, time.monotonic() - began)
    assert slowest < 0.5 * SECOND


@pytest.mark.parametrize("which", ["freeze", "thaw"])
def test_a_hook_that_hangs(hooks, which):
    hook = hooks.write("hook", f'if [ "$1" = {which} ]; then echo waiting; echo $$ >{PLACE}/pid; trap "" TERM; sleep 100; fi')
    agent, beta = two_channels(hooks, hook, "set hook-timeout 1s")
    with agent.client(timeout=10) as client:
        if which == "thaw":
            assert frozen_by(hooks, client) == {"return": 1}
        began = time.monotonic()
        if which == "freeze":
            ask(client, hooks)
        else:
            client.send(b'{"execute":"guest-fsfreeze-thaw"}\n')
        pid = hooks.pid()
        expect_answers(beta, 0.5)
        text = failure(client.reply())
        assert 0.9 < time.monotonic() - began < 5 * SECOND
        assert f"the {which} hook {hook} did not end within 1000 ms and was killed: waiting" in text
        assert gone(pid)
        expect_nothing_frozen(hooks, client)
    hooks.settled("hook freeze", "hook thaw")
    wait_for(lambda: [row for row in records(agent, "result") if "killed at its time limit of 1000 ms" in row["text"]], 5, "it")


def test_what_a_hook_leaves_running_is_ended(hooks):
    """It holds the pipe, has a session of its own, and bears every signal that can be borne."""
    hook = hooks.write("hook", f"(trap '' TERM HUP INT; setsid sh -c 'trap \"\" TERM HUP; echo $$ >{PLACE}/pid; sleep 100' &)\n"
                               f"while [ ! -s {PLACE}/pid ]; do sleep 0.01; done")
    with hooks.start(hook).client() as client:
        began = time.monotonic()
        assert frozen_by(hooks, client) == {"return": 1}
        assert time.monotonic() - began < 5 * SECOND
        assert gone(hooks.pid())
        assert client.ok("guest-fsfreeze-thaw") == 1
    hooks.settled("hook freeze", "hook thaw")


def test_a_hook_that_prints_without_end(hooks):
    hook = hooks.write("hook", 'if [ "$1" = freeze ]; then head -c 100000000 /dev/zero | tr "\\0" x; fi')
    agent = hooks.start(hook)
    with agent.client(timeout=30) as client:
        assert frozen_by(hooks, client) == {"return": 1}
        assert int(proc_status(keeper(agent))["VmHWM"].split()[0]) < 8192, "kB"
        assert client.ok("guest-fsfreeze-thaw") == 1
    row = wait_for(lambda: records(agent, "result"), 5, "the record")[0]
    assert "100000000 bytes of output: xxxxx" in row["text"] and 512 < len(row["text"]) <= 4095


def test_a_second_freeze_while_the_hooks_of_the_first_run(hooks):
    hook = hooks.write("hook", f'if [ "$1" = freeze ]; then while [ ! -e {PLACE}/go ]; do sleep 0.01; done; fi')
    agent, beta = two_channels(hooks, hook)
    with agent.client(timeout=20) as client, Client(beta, timeout=20) as other:
        other.harmless = agent.harmless
        ask(client, hooks)
        wait_for(lambda: hooks.begun(), 5, "the hook")
        kind, text, code, _ = split_error(frozen_by(hooks, other))
        assert (kind, code) == ("GenericError", 1303) and "the hooks of another freeze are running" in text
        assert other.ok("guest-fsfreeze-thaw") == 0
        assert hooks.lines() == ["hook freeze"] and not hooks.mount.frozen()
        (PLACE / "go").touch()
        assert client.reply() == {"return": 1}
        assert hooks.mount.frozen() and status(other) == "frozen"
        assert client.ok("guest-fsfreeze-thaw") == 1
        assert frozen_by(hooks, other) == {"return": 1} and other.ok("guest-fsfreeze-thaw") == 1
    hooks.settled(*["hook freeze", "hook thaw"] * 2)


def test_a_freeze_right_after_a_thaw(hooks):
    """What has run the thaw hooks may not have ended yet."""
    agent, beta = two_channels(hooks, hooks.write("hook"))
    with agent.client() as client, Client(beta) as other:
        for number in range(30):
            one = (client, other)[number % 2]
            assert frozen_by(hooks, one) == {"return": 1} and one.ok("guest-fsfreeze-thaw") == 1


# Whoever thaws, and whoever dies.

def test_lease_runs_out(hooks):
    agent = hooks.start(hooks.write("hook"), "set freeze-timeout 1s")
    with agent.client() as client:
        assert frozen_by(hooks, client) == {"return": 1}
        wait_until_thawed([hooks.mount], 3)
        hooks.settled("hook freeze", "hook thaw")
        assert client.error("guest-fsfreeze-thaw")[2] == 1302
        assert frozen_by(hooks, client) == {"return": 1} and client.ok("guest-fsfreeze-thaw") == 1
    hooks.settled(*["hook freeze", "hook thaw"] * 2)


def test_stopped_while_frozen(hooks):
    agent = hooks.start(hooks.write("hook", "sleep 0.2"), "set freeze-on-restart hold")
    with agent.client() as client:
        assert frozen_by(hooks, client) == {"return": 1}
    agent.process.terminate()
    assert agent.process.wait(10) == 0
    assert not hooks.mount.frozen() and hooks.lines()[-1] == "hook thaw ended"
    assert record(agent)["owed"] == 0
    agent.start()
    hooks.settled("hook freeze", "hook thaw")


def test_stopped_while_a_freeze_hook_runs(hooks):
    """What was begun is undone before the agent has ended."""
    hook = hooks.write("hook", '[ "$1" = thaw ] || sleep 1')
    agent = hooks.start(hook)
    with agent.client() as client:
        ask(client, hooks)
        wait_for(lambda: hooks.begun(), 5, "the hook")
        agent.process.terminate()
        assert agent.process.wait(10) == 0
    assert not hooks.mount.frozen() and hooks.lines()[-1] == "hook thaw ended"
    hooks.settled("hook freeze", "hook thaw")


def strike(agent, victims):
    """SIGKILL of these; what ends with the supervisor is followed by a new agent."""
    family = agent.pids()
    if victims == "all":
        pids = list(family)
        for pid in pids:
            kill(pid, signal.SIGSTOP)
    else:
        pids = [agent.process.pid if name == "supervisor" else agent.pid(name) for name in victims.split("+")]
    for pid in pids:
        kill(pid)
    if agent.process.pid in pids:
        agent.process.wait()
        agent.start()
    return family


def served(client, command, arguments=None):
    """The reply, once whoever was killed has a successor: of what died just now the front may not know yet."""
    def answered():
        reply = client.call(command, arguments, timeout=20)
        return None if "error" in reply and split_error(reply)[2] in (1401, 1403) else reply
    return wait_for(answered, 10, f"{command} to be served")


VICTIMS = ["storage", "thaw", "hook", "supervisor", "all", "front", "storage+thaw", "hook+storage", "hook+thaw"]


@pytest.mark.parametrize("victims", VICTIMS)
def test_killed_while_frozen(hooks, victims):
    """The thaw hook is run once, after the thaw: its line on the file system that was frozen says so."""
    hook = hooks.write("hook", "sleep 0.1")
    agent = hooks.start(hook)
    with agent.client() as client:
        assert frozen_by(hooks, client) == {"return": 1}
    strike(agent, victims)
    with agent.client() as client:
        if victims in ("hook", "front"):
            assert status(client) == "frozen" and hooks.mount.frozen()
            served(client, "guest-fsfreeze-thaw")
        wait_until_thawed([hooks.mount], 5)
        hooks.settled("hook freeze", "hook thaw")
        wait_for(lambda: status(client) == "thawed", 5, "the status")
        wait_for(lambda: keeper(agent) is None, 5, "the end of what runs hooks")
        hooks.log.unlink()
        served(client, "guest-fsfreeze-thaw")
        assert frozen_by(hooks, client) == {"return": 1} and client.ok("guest-fsfreeze-thaw") == 1
    hooks.settled("hook freeze", "hook thaw")


@pytest.mark.parametrize("victims", ["supervisor", "all", "storage", "hook"])
def test_killed_and_held(hooks, victims):
    """What outlives the agent outlives its bulkhead-hook: the thaw hook comes after the thaw, whoever runs it."""
    hook = hooks.write("hook")
    agent = hooks.start(hook, "set freeze-on-restart hold")
    with agent.client() as client:
        assert frozen_by(hooks, client) == {"return": 1}
    old = keeper(agent)
    began = time.monotonic()
    strike(agent, victims)
    assert time.monotonic() - began < 4 * SECOND
    if victims in ("supervisor", "all"):
        wait_for(lambda: gone(old), 5, "the end of what the last agent left")
    with agent.client(timeout=20) as client:
        wait_for(lambda: status(client) == "frozen", 5, "the status")
        assert hooks.mount.frozen() and hooks.begun() == ["hook freeze"]
        reply = served(client, "guest-fsfreeze-thaw")
        if victims == "hook":  # another runs them, and tells nobody
            assert "the file systems are thawed, but the hooks do not answer" in failure(reply)
        else:
            assert reply == {"return": 1}
        hooks.settled("hook freeze", "hook thaw")
        wait_for(lambda: keeper(agent) is None, 5, "the end of what runs hooks")
        assert frozen_by(hooks, client) == {"return": 1} and client.ok("guest-fsfreeze-thaw") == 1


@pytest.mark.parametrize("victims", ["storage", "hook", "supervisor", "all", "hook+storage"])
@pytest.mark.parametrize("which", ["freeze", "thaw"])
def test_killed_while_a_hook_runs(hooks, which, victims):
    """What runs is not disturbed, unless bulkhead-hook was killed: then it ends with it, and a thaw hook is run again, once.
    No two run at the same time."""
    hook = hooks.write("hook", f'[ "$1" != {which} ] || [ -e {PLACE}/go ] || {{ echo $$ >{PLACE}/pid; sleep 1.5; }}')
    agent = hooks.start(hook)
    with agent.client() as client:
        if which == "thaw":
            assert frozen_by(hooks, client) == {"return": 1}
            client.send(b'{"execute":"guest-fsfreeze-thaw"}\n')
        else:
            ask(client, hooks)
        pid = hooks.pid()
        (PLACE / "go").touch()
        strike(agent, victims)
        assert gone(pid) or hooks.lines()[-1] == f"hook {which}"
    wait_for(lambda: "hook thaw ended" in hooks.lines() and gone(pid), 10, "the thaw hook")
    twice = which == "thaw" and victims not in ("storage", "supervisor")
    hooks.settled("hook freeze", "hook thaw", twice=twice)
    with agent.client() as client:
        wait_for(lambda: keeper(agent) is None, 5, "the end of what runs hooks")
        expect_nothing_frozen(hooks, client)
        served(client, "guest-fsfreeze-thaw")
        assert frozen_by(hooks, client) == {"return": 1} and client.ok("guest-fsfreeze-thaw") == 1


# Beside qemu-ga.

BODIES = {"fine": "", "freeze fails": '[ "$1" != freeze ] || exit 1', "thaw fails": '[ "$1" != thaw ] || exit 1',
          "both print": 'echo out; echo err >&2', "killed": '[ "$1" != freeze ] || kill -9 $$'}


def outcome(agent, hooks):
    """What a freeze and a thaw are answered, without the text of errors; what is frozen in between; what was run."""
    hooks.log.unlink(missing_ok=True)
    replies = []
    with agent.client() as client:
        for command in ("guest-fsfreeze-freeze-list", "guest-fsfreeze-status", "guest-fsfreeze-thaw", "guest-fsfreeze-status"):
            arguments = {"mountpoints": [hooks.mount.path]} if command.endswith("list") else None
            reply = client.call(command, arguments, timeout=20)
            replies.append((command, reply["error"]["class"] if "error" in reply else reply["return"], hooks.mount.frozen()))
    return replies, hooks.lines()


@pytest.mark.parametrize("body", BODIES)
def test_same_as_qemu_ga(hooks, body):
    if not os.path.exists(PEER_PROGRAM):
        pytest.skip(f"{PEER_PROGRAM} is missing (package qemu-guest-agent)")
    hook = hooks.write("hook", BODIES[body])
    peer = NamedPeer(hooks.world.path / "peer", hooks.world)
    peer.options.append(f"-F{hook}")
    hooks.world.agents.append(peer)
    first = outcome(peer.start(), hooks)
    hooks.world.thaw()
    second = outcome(hooks.start(hook), hooks)
    assert first == second
