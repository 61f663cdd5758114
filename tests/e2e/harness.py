"""What every end-to-end test uses: the agent as a process, a client of its socket, and what /proc says about both.

Peer has the face of Agent and runs qemu-ga, so that one test can ask both the same.
Nothing here signals a process that it has not started or that does not descend from one.
"""

import base64
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", ROOT / "build")).resolve()
PEER_PROGRAM = "/usr/sbin/qemu-ga"
KIB, MIB = 1024, 1024 * 1024
FREEZES = re.compile(rb"guest-fsfreeze-freeze|guest-fstrim")
CODE = re.compile(r" \((?:allowed by policy; )?BH(\d+)(?:, record (\d+))?\)$")


class Gone(Exception):
    """The agent closed the connection."""


def wait_for(condition, seconds, what):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
        time.sleep(0.005)


class Client:
    """A connection. Knows lines and JSON, nothing of commands but sync."""

    ids = itertools.count(1000)
    harmless = False  # the other side cannot freeze or trim a file system that is not the test's

    def __init__(self, path, timeout=10.0):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        """Not what might freeze or trim the machine itself: `/` hangs it until somebody thaws, and nobody can."""
        assert self.harmless or not FREEZES.search(data), "for a guest, or for an agent whose policy names the mounts"
        self.socket.sendall(data)

    def line(self, timeout=None):
        """One reply line without its LF. Gone at the end of the connection, socket.timeout when nothing comes."""
        if timeout is not None:
            self.socket.settimeout(timeout)
        start = 0
        while (end := self.buffer.find(b"\n", start)) < 0:
            start = len(self.buffer)
            try:
                piece = self.socket.recv(MIB)
            except (ConnectionResetError, BrokenPipeError) as error:
                raise Gone() from error
            if not piece:
                raise Gone()
            self.buffer += piece
        line = bytes(self.buffer[:end])
        del self.buffer[:end + 1]
        return line

    def reply(self, timeout=None):
        line = self.line(timeout)
        return json.loads(line[1:] if line[:1] == b"\xff" else line)

    def call(self, command, arguments=None, timeout=None, **more):
        """Sends a request, returns the whole reply."""
        request = {"execute": command, **more}
        if arguments is not None:
            request["arguments"] = arguments
        self.send(json.dumps(request).encode() + b"\n")
        return self.reply(timeout)

    def ok(self, command, arguments=None, timeout=None):
        reply = self.call(command, arguments, timeout)
        assert "return" in reply, f"{command} {arguments}: {reply}"
        return reply["return"]

    def error(self, command, arguments=None, timeout=None):
        """The error's (class, text, code, record); code and record are None where the text has none."""
        reply = self.call(command, arguments, timeout)
        assert "error" in reply, f"{command} {arguments} should have failed: {str(reply)[:200]}"
        return split_error(reply)

    def sync(self, timeout=None):
        """Brings both ends together, whatever was sent before; returns the replies that came first."""
        number, before = next(self.ids), []
        self.send(b"\n" + json.dumps({"execute": "guest-sync", "arguments": {"id": number}}).encode() + b"\n")
        while (reply := self.reply(timeout)) != {"return": number}:
            before.append(reply)
        return before

    # The file commands as functions, because most tests need them.
    def open(self, path, mode="r"):
        return self.ok("guest-file-open", {"path": str(path), "mode": mode})

    def read(self, handle, count=4096):
        got = self.ok("guest-file-read", {"handle": handle, "count": count})
        data = base64.b64decode(got["buf-b64"], validate=True)
        assert len(data) == got["count"]
        return data, got["eof"]

    def write(self, handle, data):
        text = base64.b64encode(data).decode()
        return self.ok("guest-file-write", {"handle": handle, "buf-b64": text})["count"]

    def close_file(self, handle):
        return self.ok("guest-file-close", {"handle": handle})


def split_error(reply):
    text = reply["error"]["desc"]
    found = CODE.search(text)
    code = int(found[1]) if found else None
    record = int(found[2]) if found and found[2] else None
    return reply["error"]["class"], text, code, record


def limits_freezing(policy):
    """Each allow that freezes or trims names the mounts, which profiles do not; or all mounts are denied."""
    if re.search(r'^deny @freeze, @trim \{ mount beneath "/" \}', policy, re.M):
        return True
    rules = re.findall(r"^[^#\n]*\ballow\b([^{\n]*)(\{[^}]*\})?", policy, re.M)
    return not re.search(r"^\s*use\b", policy, re.M) and all(
        re.search(r"\bmount\b", block) for commands, block in rules if re.search(r"@freeze|@trim|fsfreeze-freeze|fstrim", commands))


class Peer:
    """qemu-ga on a socket below `folder`."""

    def __init__(self, folder, *options, cwd=None, prefix=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket = self.folder / "agent.sock"
        self.options = [str(option) for option in options]
        self.cwd = cwd
        self.prefix = list(prefix)
        self.process = self.log = None

    def command(self):
        return [*self.prefix, PEER_PROGRAM, "-m", "unix-listen", "-p", str(self.socket), "-t", str(self.folder), *self.options]

    def start(self):
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, cwd=self.cwd)
        try:
            wait_for(self.answers, 10, f"{self.command()[0]} to answer; its log: {self.log_text()[-2000:]}")
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}\n{self.log_text()[-2000:]}") from None
        return self

    def answers(self):
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log_text()[-2000:]}"
        try:
            with self.client(timeout=2) as client:
                return client.call("guest-ping")
        except (OSError, Gone, ValueError):
            return False

    def client(self, timeout=10.0):
        return Client(self.socket, timeout)

    def log_text(self):
        return (self.folder / "log").read_text(errors="replace")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def pids(self):
        """The process and its descendants, zombies left out."""
        return tree(self.process.pid)

    def stop(self):
        if self.process is None:
            return None
        left = self.pids()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        wait_for(lambda: not any(alive(pid, start) for pid, start in left.items()), 5, "processes to end")
        return self.process.returncode


class Agent(Peer):
    """The built agent. `policy` is the name of a shipped profile, or the text of a policy."""

    def __init__(self, folder, policy="open", *options, build=None, cwd=None, prefix=()):
        super().__init__(folder, *options, cwd=cwd, prefix=prefix)
        self.build = pathlib.Path(build or BUILD)
        self.way = ["-m", "unix-listen", "-p", str(self.socket)]
        self.policy = policy
        self.harmless = False
        if "\n" in policy:
            self.policy = str(self.folder / "policy")
            self.write_policy(policy)

    def write_policy(self, text):
        self.harmless = limits_freezing(text)
        path = self.folder / "policy"
        path.write_text(text)
        path.chmod(0o600)

    def command(self):
        return [*self.prefix, str(self.build / "bulkhead"), "--policy", self.policy, *self.way, "-t", str(self.folder),
                *self.options]

    def client(self, timeout=10.0):
        client = super().client(timeout)
        client.harmless = self.harmless
        return client

    def status(self):
        """status.json as it is now: the supervisor writes it anew on SIGUSR1."""
        path = self.folder / "bulkhead" / "status.json"
        old = json.loads(path.read_text())["generation"]
        self.process.send_signal(signal.SIGUSR1)
        return wait_for(lambda: (new := json.loads(path.read_text()))["generation"] > old and new, 5, "status.json")

    def processes(self, name=None):
        """Rows of the status file whose process runs."""
        rows = [row for row in self.status()["processes"] if row["pid"] > 0 and stat_of(row["pid"])]
        return [row for row in rows if name in (None, row["name"], row["role"])]

    def pid(self, name):
        rows = wait_for(lambda: self.processes(name), 5, f"a process {name} to run")
        return rows[0]["pid"]

    def ctl(self, *arguments, check=True, **options):
        """Runs bulkheadctl against this agent; returns the finished process."""
        done = subprocess.run([str(self.build / "bulkheadctl"), *map(str, arguments)], capture_output=True,
                              text=True, timeout=60, **options)
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    @property
    def audit_dir(self):
        return self.folder / "bulkhead" / "audit"

    def audit(self, kind=None):
        """All records of the log, oldest first, as the file has them. A line that is being written is none yet.

        The order is one of each source: what two sources wrote may stand either way round, and while the audit
        process has a successor the `closed` of one may be there and the `act` of the other not yet.
        """
        rows = []
        for path in sorted(self.audit_dir.glob("*.log")):
            rows += [json.loads(line) for line in path.read_text(errors="surrogateescape").split("\n")[:-1]]
        return [row for row in rows if kind in (None, row["kind"])]

    def record(self, number, seconds=5):
        """The record of this number, once the audit process has written it."""
        assert number is not None
        return wait_for(lambda: next((row for row in self.audit() if row.get("n") == number), None), seconds,
                        f"record {number}")

    def verify(self, **options):
        return self.ctl("audit", "verify", "--state-dir", self.folder, **options)


# What /proc says.

def stat_of(pid):
    """(parent, start time, state), or None if there is no such process."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), fields[19], fields[0]


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid, start):
    stat = stat_of(pid)
    return stat is not None and stat[1] == start and stat[2] != "Z"


def tree(root):
    """{pid: start time} of root and all that descends from it."""
    stats = {int(name): stat_of(name) for name in os.listdir("/proc") if name.isdigit()}
    found, todo = {}, [root]
    while todo:
        pid = todo.pop()
        if stats.get(pid) and stats[pid][2] != "Z":
            found[pid] = stats[pid][1]
            todo += [child for child, stat in stats.items() if stat and stat[0] == pid]
    return found


def proc_status(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def memory(pids):
    """Bytes: proportional set size of the processes, with each of their memfds counted once and whole."""
    total, memfds = 0, {}
    for pid in pids:
        try:
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", rollup, re.M))
            total += (int(sizes["Pss"]) - int(sizes["Pss_Shmem"])) * KIB
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("/memfd:"):
                    stat = os.stat(f"/proc/{pid}/fd/{fd}")
                    memfds[stat.st_ino] = stat.st_blocks * 512
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total + sum(memfds.values())


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
