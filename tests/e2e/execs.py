"""What the tests of guest-exec share: an execution from its start to its result, a place whose folders are root's, who is
left in /proc, and whether another channel is answered meanwhile.

Programs that a policy names must lie where nobody but root may write, so not below /tmp: a Place is a file system of the
test's own in a mount namespace of the test's own, which agents that are started meanwhile see.
"""

import base64
import collections
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

from harness import BUILD, ROOT, Agent, Client, wait_for
from images import OwnMounts

MNT = pathlib.Path("/mnt")
FLIP = BUILD / "tests" / "e2e" / "flip"
COMMANDS = len(json.loads((ROOT / "protocol" / "schema.json").read_text())["commands"])
FIELDS = ("exitcode", "signal", "out", "err", "out_truncated", "err_truncated")
Ended = collections.namedtuple("Ended", FIELDS)


def request(path, *arguments, capture=True, env=None, stdin=None):
    """The arguments of guest-exec. None leaves a member out; `stdin` is bytes."""
    members = {"path": str(path), "arg": [str(word) for word in arguments] or None, "env": env, "capture-output": capture,
               "input-data": None if stdin is None else base64.b64encode(stdin).decode()}
    return {name: value for name, value in members.items() if value is not None}


def begin(client, path, *arguments, **options):
    """Its number."""
    got = client.ok("guest-exec", request(path, *arguments, **options), timeout=30)
    assert set(got) == {"pid"} and isinstance(got["pid"], int) and got["pid"] > 0
    return got["pid"]


def poll(client, number, seconds=10):
    """The reply that says that it is over, as it came. Such a reply comes once."""
    pause, end = 0.001, time.monotonic() + seconds
    while "return" in (reply := client.call("guest-exec-status", {"pid": number}, timeout=30)):
        if reply["return"]["exited"]:
            return reply
        assert reply["return"] == {"exited": False}, "nothing else is told of what still runs"
        assert time.monotonic() < end, f"{number} still runs after {seconds} s"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    return reply


def ended(got):
    """What an execution's last reply holds, base64 undone; None where a member is absent."""
    got = dict(got)
    assert got.pop("exited") is True and ("exitcode" in got) != ("signal" in got), got
    for name in ("out", "err"):
        assert (f"{name}-data" in got) == (f"{name}-truncated" in got), got
        if f"{name}-data" in got:
            got[name] = base64.b64decode(got.pop(f"{name}-data"), validate=True)
            assert got[name], "what is empty is left out"
    row = Ended(*(got.pop(name.replace("_", "-"), None) for name in FIELDS))
    assert not got, f"members that do not exist: {got}"
    return row


def finish(client, number, seconds=10):
    reply = poll(client, number, seconds)
    assert "return" in reply, reply
    return ended(reply["return"])


def run(client, path, *arguments, seconds=10, **options):
    """An execution from start to end."""
    return finish(client, begin(client, path, *arguments, **options), seconds)


def text(client, path, *arguments, **options):
    """What a program writes that must succeed."""
    got = run(client, path, *arguments, **options)
    assert got.exitcode == 0, got
    return (got.out or b"").decode()


# Agents with a policy of the test's own.

def rule(name, program, *lines, on="alpha"):
    """The text of an allow; `program` is a path, or what stands behind the word."""
    block = "\n    ".join([f"program {program}" if '"' in str(program) or program == "any" else f'program "{program}"', *lines])
    return f"rule {name}: allow guest-exec on {on} {{\n    {block}\n}}\n"


class Pair(Agent):
    """An agent with the channels alpha, which is asked if nothing is said, and beta."""

    def __init__(self, folder, *parts):
        self.sockets = {name: folder / f"{name}.sock" for name in ("alpha", "beta")}
        super().__init__(folder / "agent", self.text(*parts))
        self.socket = self.sockets["alpha"]

    def text(self, *parts):
        """The policy with these rules."""
        lines = [f"channel {name} unix-listen:{path}" for name, path in self.sockets.items()]
        return "\n".join(["policy 1", f"commands {COMMANDS}", *lines, "allow @sync, @info on alpha, beta", *parts, ""])

    def client(self, timeout=10.0, channel="alpha"):
        return Client(self.sockets[channel], timeout)


def refusal(agent, client, arguments, command="guest-exec"):
    """(code, audit record) of a request that its policy does not grant."""
    _, words, code, number = client.error(command, arguments, timeout=30)
    assert number, f"no audit record: {words}"
    record = agent.record(number)
    assert (record["kind"], record["cmd"], record["code"]) == ("refused", command, f"BH{code}"), record
    return code, record


def is_unknown(client, command, number, **more):
    """Is nothing known on this channel of such an execution?"""
    kind, words, _, record = client.error(command, {"pid": number, **more})
    return (kind, record) == ("GenericError", None) and str(number) in words


# Who is there.

def carriers(mark):
    """Processes that have these bytes among their arguments or in their environment, but for this one. Zombies have neither."""
    found, wanted = {}, mark.encode()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            folder = pathlib.Path("/proc", name)
            if wanted in (folder / "cmdline").read_bytes() or wanted in (folder / "environ").read_bytes():
                found[int(name)] = (folder / "cmdline").read_bytes()
    return found


def nobody_carries(mark, seconds=5):
    wait_for(lambda: not carriers(mark), seconds, f"the processes of {mark} to end: {carriers(mark)}")


class Marks:
    """A word per execution that all its processes carry, to find who is left."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return f"bh-mark-{os.getpid()}-{self.count}"


mark = Marks()


# Another channel.

class Pings:
    """Asks on a connection of its own, in a thread, while something else goes on."""

    LIMIT = 2.0  # seconds that an answer may take on a busy machine

    def __init__(self, client):
        self.client, self.times, self.failed = client, [], None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        try:
            while not self.over.is_set():
                start = time.monotonic()
                self.client.ok("guest-ping", timeout=self.LIMIT)
                self.times.append(time.monotonic() - start)
                time.sleep(0.002)
        except Exception as error:
            self.failed = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        self.thread.join()
        self.client.close()
        if kind is None:
            assert not self.failed, f"a ping failed after {len(self.times)}: {self.failed!r}"
            assert self.times and max(self.times) < self.LIMIT
            print(f"{len(self.times)} pings, p99 {1000 * self.p99():.1f} ms, longest {1000 * max(self.times):.1f} ms")

    def p99(self):
        return sorted(self.times)[len(self.times) * 99 // 100]


# Where programs lie.

def write(path, data, mode=0o755, owner=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    os.chown(path, owner, owner)
    path.chmod(mode)  # last: whoever gives a file away takes its set-uid bit
    return path


def copy(source, path, **more):
    return write(path, pathlib.Path(source).read_bytes(), **more)


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


@contextlib.contextmanager
def trusted_place():
    """/mnt, empty, in memory, root's."""
    namespace, before = OwnMounts(), os.getcwd()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", MNT], check=True)
        try:
            yield MNT
        finally:
            subprocess.run(["umount", "-l", MNT], check=True)
    finally:
        namespace.leave()  # which leads to /
        os.chdir(before)


@contextlib.contextmanager
def scratch():
    """A folder on the disk that every user may walk through."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="bh-", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def serving(rules):
    """A Pair under what rules() gives, which puts its programs into the place before."""
    with scratch() as folder, trusted_place(), Pair(folder, *rules()) as agent:
        assert agent.status()["policy"]["state"] == "loaded", agent.log_text()
        yield agent


def compile_c(source, path, *options):
    """A program from a few lines of C, at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-x", "c", "-O1", "-w", "-o", path, "-", *options], input=source.encode(), check=True)
    path.chmod(0o755)
    return path


# Shows itself: its arguments, then its environment, then as whom it runs.
SHOW = r'''
#include <stdio.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) printf("[%s]", argv[i]);
    for (char **e = environ; *e; e++) printf("{%s}", *e);
    printf("(%d)", (int)geteuid());
    return 0;
}
'''
# Tries to connect to each socket that it is told, `@` for abstract ones.
CONNECT = r'''
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct sockaddr_un to = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM, 0), result;
        strcpy(to.sun_path, argv[i]);
        if (argv[i][0] == '@') to.sun_path[0] = 0;
        result = fd < 0 ? -1 : connect(fd, (void *)&to, sizeof(sa_family_t) + strlen(argv[i]));
        printf("%s %s\n", argv[i], result == 0 ? "connected" : strerror(errno));
    }
    return 0;
}
'''
