"""Executions under `open` beside the real qemu-ga's. What differs is a row of tests/differences.json (suite `exec`), or a bug.

A case is a list of steps for each agent: an execution, whose whole result is compared, a request whose reply is, or a
function of its own. Rows have the same form as those of test_differential.py, which has what normalises replies. Numbers
of executions differ by design: the kernel's there, ours here.
"""

import base64
import hashlib
import json
import os
import pathlib
import re
import time

import pytest

from execs import begin, compile_c, ended, finish, poll, request, write
from harness import PEER_PROGRAM, ROOT, Agent, Peer
from test_differential import REASONS, Runner

pytestmark = pytest.mark.root
ROWS = [row for row in json.loads((ROOT / "tests" / "differences.json").read_text()) if row.get("suite") == "exec"]
USED = set()
CAP = 16 * 1024 * 1024
BYTES = bytes(range(256))
MIB_OF = bytes(i * 7 % 251 for i in range(1024 * 1024))


def ex(path, *arguments, **options):
    return "guest-exec", request(path, *arguments, **options)


def sh(script, *arguments, **options):
    return ex("/bin/sh", "-c", script, *arguments, **options)


def call(command, **arguments):
    """A request whose reply is compared as it is, whatever it says."""
    return command, {name.replace("_", "-"): value for name, value in arguments.items()}


def bad(**arguments):
    return call("guest-exec", **{"path": "/bin/true", **arguments})


# Steps that are more than one request.

def while_running(side):
    """Nothing is told before the end, not even what was written; then all of it, once."""
    number = begin(side.client, "/bin/sh", "-c", "echo early; sleep 0.3; echo late")
    time.sleep(0.1)
    return [side.client.call("guest-exec-status", {"pid": number}), side.over(number), side.status(number), side.status(number)]


def daemon(side, capture, script):
    """What a program leaves behind holds the end of an execution up while it holds the pipe, and only then."""
    number = begin(side.client, "/bin/sh", "-c", script, capture=capture)
    time.sleep(0.15)
    first = side.client.call("guest-exec-status", {"pid": number})
    return [first["return"]["exited"], side.over(number) if not first["return"]["exited"] else side.told(first)]


def at_once(side, count=40):
    numbers = [begin(side.client, "/bin/sh", "-c", f"sleep 0.0{n % 5}; echo {n}; exit {n}") for n in range(count)]
    assert len(set(numbers)) == count
    return [side.over(number) for number in reversed(numbers)]


def unfetched(side):
    """Results wait until somebody asks, on whatever connection."""
    numbers = [begin(side.client, "/bin/echo", str(n)) for n in range(3)]
    side.client.close()
    side.client = side.agent.client()
    return [side.over(number) for number in numbers]


def pipelined(side):
    """Replies come in order, one for each; the execution does not hold up what comes behind it."""
    start = time.monotonic()
    side.client.send(b"".join(json.dumps(row).encode() for row in [
        {"execute": "guest-exec", "arguments": request("/bin/sleep", "0.5"), "id": "first"}, {"execute": "guest-ping", "id": 2},
        {"execute": "guest-exec", "arguments": {"path": "/bin/echo", "arg": ["x"]}, "id": {"a": [3]}},
        {"execute": "guest-exec-status", "arguments": {"pid": 0}, "id": None}, {"execute": "guest-ping"}]))
    rows = [side.client.reply() for _ in range(5)]
    took = time.monotonic() - start
    numbers = [rows[place].pop("return")["pid"] for place in (0, 2)]
    return [[side.normal(row) for row in rows], took < 0.4, [side.over(number) for number in numbers]]


def proxmox(side):
    """A connection for each command, MIME base64 with line feeds in what is input."""
    side.client.close()
    data = base64.encodebytes(MIB_OF[:100000]).decode()
    with side.agent.client() as client:
        number = client.ok("guest-exec", {"path": "/bin/cat", "arg": [], "input-data": data, "capture-output": True})["pid"]
    with side.agent.client() as client:
        return side.seen(finish(client, number))


def kubevirt(side):
    """guest-exec through libvirt, and exec-status until it says exited; what it reads of it are these members."""
    number = begin(side.client, "sh", "-c", "test -d /proc && echo -n yes")
    got = poll(side.client, number)["return"]
    return [got["exited"], got["exitcode"], base64.b64decode(got["out-data"]).decode(), "err-data" in got]


def ansible(side):
    """Its connection plugin: the home of root by a shell, then what it needs of each status."""
    got = side.over(begin(side.client, "/bin/sh", "-c", "echo ~root && sleep 0"))
    entries = [row for row in side.client.ok("guest-info")["supported_commands"] if row["name"].startswith("guest-exec")]
    return [got, sorted(json.dumps(row, sort_keys=True) for row in entries)]


def upstream(side):
    """test-qga's own: within five seconds of asking, over and over."""
    return side.over(begin(side.client, "/bin/echo", "-n", '"test_str"'), 5)


def upstream_invalid(side):
    kinds = [side.client.call("guest-exec", {"path": "/bin/invalid-cmd42"}), side.client.call("guest-exec-status", {"pid": 0})]
    return [[row["error"]["class"], bool(row["error"]["desc"])] for row in kinds]


def truncated(side, count, stream=1):
    return side.over(begin(side.client, "/bin/sh", "-c", f"head -c {count} /dev/zero >&{stream}"), 30)


def not_utf8(side):
    """A string of the request that is not UTF-8 is no string, for either; nothing is run."""
    kinds = []
    for member in (b'"path":"/bin/\xff"', b'"path":"/bin/touch","arg":["%s/\xff"]' % bytes(side.path),
                   b'"path":"/bin/true","env":["A=\xc3"]'):
        side.client.send(b'{"execute":"guest-exec","arguments":{%s}}\n' % member)
        kinds.append({row["error"]["class"] for row in side.client.sync()})
    return [sorted(kind) for kind in kinds]


LOOP = "for i in 1 2; do echo stdout; echo stderr >&2; done"
PATHS = ["/bin/invalid-cmd42", "no-such-program", "", "/etc", "/etc/passwd", "/etc/passwd/x", "/bin/true/", "$dir/none/x",
         "$dir/dangling", "$dir/loop", "$dir/" + "x" * 256, "$dir/not-executable", "./tool", "../tool",
         "$dir/no-interpreter", "$dir/folder"]
FOUND = ["$dir/link", "$dir/hard", "/bin/../bin/true", "//bin//true", "/bin/./true", "$dir/with space", "$dir/\u00e9", "true",
         "$dir/closed/tool"]
WRONG = [1, None, {}, [], True, 1.5]
LISTS = ["x", 1, None, {}, True, [1], [None], [["x"]], ["a", 2], [True]]
SIGNALS = ["TERM", "KILL", "HUP", "INT", "QUIT", "ABRT", "SEGV", "PIPE", "USR1", "ALRM", "BUS", "34", "64"]

CASES = {
    "capture absent": [sh("echo out; echo err >&2", capture=None)],
    "capture false": [sh("echo out; echo err >&2; exit 3", capture=False)],
    "capture true": [sh("echo out; echo err >&2"), sh("echo out"), sh("echo err >&2"), sh(":")],
    "capture none": [sh(LOOP, capture="none")],
    "capture stdout": [sh(LOOP, capture="stdout")],
    "capture stderr": [sh(LOOP, capture="stderr")],
    "capture separated": [sh(LOOP, capture="separated")],
    "capture merged": [sh(LOOP, capture="merged")],
    "capture, other words": [bad(capture_output=value) for value in ("", "both", "TRUE", "true", "Merged", "stdout ")],
    "capture, wrong types": [bad(capture_output=value) for value in (0, 1, None, [], {}, ["stdout"], 1.5)],
    "not captured goes nowhere": [sh("readlink /proc/self/fd/1 /proc/self/fd/2 >&2; readlink /proc/self/fd/1 >&2", capture=False)],
    "environment empty": [ex("/usr/bin/env", env=[])],
    "environment replaced": [ex("/usr/bin/env", env=["A=b", "C=d e", "E=", "F==", "G=\u00e9", "_=x", "a=lower"])],
    "environment with the same name twice": [ex("/usr/bin/env", env=["A=1", "A=2"]), sh("echo $A", env=["A=1", "B=", "A=2"])],
    "environment, odd entries": [ex("/bin/cat", "/proc/self/environ", env=[word]) for word in ("", "A", "=x", "A B=c", "\n=\n")],
    "environment of the loader": [sh("echo $LD_LIBRARY_PATH$IFS-", env=["LD_LIBRARY_PATH=/nonexistent", "IFS=x"])],
    "environment absent has a PATH": [sh('test -n "$PATH" && echo found')],
    "environment, wrong types": [bad(env=value) for value in LISTS],
    "search": [ex("echo", "x"), ex("env", env=["FOO=bar"]), ex("env", env=[]), ex("sh", "-c", "echo $0")],
    "search in the client's PATH": [ex("tool", "a", env=["PATH=$dir"]), ex("tool", env=["PATH=/nonexistent:$dir"]),
                                    ex("echo", env=["PATH=/nonexistent"]), ex("not-executable", env=["PATH=$dir"]),
                                    ex("folder", env=["PATH=$dir"]), ex("tool", env=["PATH=$dir", "PATH=/nonexistent"]),
                                    ex("sh", "-c", "echo $PATH", env=["PATH=/bin"])],
    "exit codes": [sh(f"exit {n}") for n in (0, 1, 2, 42, 77, 126, 127, 128, 137, 255)],
    "exit codes of programs": [ex("/bin/true"), ex("/bin/false"), ex("$dir/exits", "256"), ex("$dir/exits", "-1")],
    "signals": [sh(f"kill -{name} $$") for name in SIGNALS],
    "output before a signal": [sh("echo out; kill -KILL $$"), sh("echo err >&2; kill -TERM $$")],
    "a child's signal is not the program's": [sh("sh -c 'kill -9 $$'; echo $?")],
    "standard input is empty": [ex("/bin/cat"), sh("readlink /proc/self/fd/0"), ex("/usr/bin/wc", "-c")],
    "input": [ex("/bin/cat", stdin=b"hello\n"), ex("/bin/cat", stdin=b"x"), ex("/bin/cat", stdin=BYTES),
              ex("/usr/bin/wc", "-l", stdin=b"\n" * 1000)],
    "input, empty": [ex("/bin/cat", stdin=b""), ex("/usr/bin/wc", "-c", stdin=b"")],
    "input, 1 MiB": [ex("/bin/cat", stdin=MIB_OF), ex("/usr/bin/wc", "-c", stdin=MIB_OF)],
    "input that nobody reads": [ex("/bin/true", stdin=MIB_OF), ex("/usr/bin/head", "-c", "5", stdin=MIB_OF),
                                sh("exec <&-", stdin=MIB_OF)],
    "input, base64": [bad(path="/bin/cat", input_data=value) for value in ("!", "aGVs bG8=", "aGVs-G8=", "aGVs\r\nbG8=", "\u00e9")]
    + [ex("/bin/cat") + ({"input-data": "aGVs\nbG8=\n"},), ex("/bin/cat") + ({"input-data": "SGVsbG8"},)],
    "input, kind": [sh("test -p /dev/stdin && echo pipe || echo no pipe", stdin=b"x")],
    "input, wrong types": [bad(input_data=value) for value in WRONG],
    "output, binary": [ex("/bin/cat", "$dir/binary"), sh("cat $0 >&2", "$dir/binary"), sh(r"printf '\377\376\000\n'")],
    "output, long lines": [sh("head -c 3000000 /dev/zero | tr '\\0' x")],
    "output, both streams at length": [sh("head -c 400000 /dev/zero; head -c 300000 /dev/zero >&2; head -c 200000 /dev/zero")],
    "output, 17 MB": [lambda side: truncated(side, 17000000)],
    "output, to the byte": [lambda side: truncated(side, CAP), lambda side: truncated(side, CAP + 1, 2)],
    "programs that cannot be had": [ex(path) for path in PATHS],
    "paths of programs": [ex(path, "a") for path in FOUND],
    "a path of 4095 bytes and one more": [ex("/" + "x/" * 2047), ex("/" + "x/" * 2047 + "y")],
    "scripts": [ex("$dir/script", "a", "b c"), ex("$dir/script-option", "a"), ex("$dir/script-env", "a"), ex("$dir/script-space")],
    "scripts without an interpreter": [ex("$dir/no-line", "a", "b"), ex("$dir/empty", "a")],
    "scripts, their own name": [ex("$dir/script-name")],
    "arguments": [ex("$dir/arguments", *words) for words in ([], ["a"], ["a b", "c"], ["$HOME", "*", "`id`", ";", "'"], ["-n", "--", "-"],
                                                             ["\u00e9", "\U0001f600"], ["a\nb", "\t", "\x7f\x01"])],
    "arguments, empty": [ex("$dir/arguments", *words) for words in ([""], ["", ""], ["a", "", "b"])],
    "arguments, 4096": [sh("echo $#", *["x"] * 4094), ex("$dir/arguments", *(str(n) for n in range(4096)))],
    "arguments, long": [sh("echo ${#1}", "0", "y" * 100000), sh("echo ${#1}", "0", "y" * 131071)],
    "arguments, as the program sees them": [ex("/bin/cat", "/proc/self/cmdline"), ex("cat", "/proc/self/cmdline"),
                                            ex("$dir/link-to-cat", "/proc/self/cmdline")],
    "U+0000": [ex("$dir/arguments", "a\0b"), ex("/bin/cat", "/proc/self/environ", env=["A=\0"]), bad(path="/bin/tr\0ue")],
    "not UTF-8": [not_utf8],
    "path, wrong types": [call("guest-exec")] + [call("guest-exec", path=value) for value in WRONG],
    "arg, wrong types": [bad(arg=value) for value in LISTS],
    "arguments that there are not": [bad(args=[]), bad(capture=True), bad(input_data_b64=""), call("guest-exec", PATH="/bin/true"),
                                     call("guest-exec-status"), call("guest-exec-status", pid=1, wait=1)],
    "status of unknown numbers": [call("guest-exec-status", pid=n) for n in (0, -1, 1, 12, 99999999, 2**31, 2**63 - 1, -2**63)],
    "status, wrong types": [call("guest-exec-status", pid=value) for value in ("1", None, [], {}, True, 1.0, 2**63, -2**63 - 1)],
    "status of our own, and of nobody's": [lambda side: side.status(side.agent.process.pid), lambda side: side.status(os.getpid())],
    "while it runs": [while_running],
    "grandchild that holds the pipe": [lambda side: daemon(side, True, "(sleep 0.5; echo late) & echo early")],
    "grandchild that holds one pipe": [lambda side: daemon(side, True, "(sleep 0.5; echo late) >&2 & exec 2>&-; echo early")],
    "grandchild that let go": [lambda side: daemon(side, True, "sleep 0.5 >/dev/null 2>&1 & echo early")],
    "grandchild, nothing captured": [lambda side: daemon(side, False, "sleep 0.5 & exit 4")],
    "grandchild in a session of its own": [lambda side: daemon(side, True, "setsid sh -c 'sleep 0.5; echo late' & echo early")],
    "many at once": [at_once],
    "results wait": [unfetched],
    "order": [pipelined],
    "id": [("guest-exec-status", {"pid": 0}, {}, {"id": value}) for value in (1, "x", None, [1], {"a": 2})],
    "who it is": [sh("id; umask; pwd >/dev/null; grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups|Sig(Ign|Blk))' /proc/self/status")],
    "limits": [sh("ulimit -a; cat /proc/self/limits; nice; cat /proc/self/oom_score_adj")],
    "namespaces": [sh("for n in mnt pid net ipc uts user cgroup; do readlink /proc/self/ns/$n; done"),
                   sh("ls -d /root /dev/shm; cat /proc/self/cgroup")],
    "descriptors": [sh("ls /proc/$$/fd")],
    "terminal": [sh("test -t 0 || echo none; (: >/dev/tty) 2>/dev/null || echo none")],
    "folder": [ex("/bin/pwd"), sh("echo $PWD", env=[])],
    "session": [sh("read -r pid name state parent group session rest </proc/$$/stat; test $pid = $session && echo own || echo shared")],
    "may be root": [sh("mount -t tmpfs none $dir/mounted && touch $dir/mounted/x && umount $dir/mounted; echo $?")],
    "Proxmox": [proxmox],
    "KubeVirt": [kubevirt],
    "Ansible": [ansible],
    "test-qga": [upstream, upstream_invalid],
}

SCRIPTS = {"tool": "#!/bin/sh\necho tool $#\n", "script": '#!/bin/sh\nprintf "[%s]" "$@"\n', "empty": "",
           "script-option": "#!/bin/sh -e\nfalse\necho no\n", "script-env": "#!/usr/bin/env sh\necho env $1\n",
           "script-space": "#! \t/bin/sh  \necho space\n", "no-line": "echo no line $1\n", "script-name": '#!/bin/sh\necho "$0"\n',
           "no-interpreter": "#!/nonexistent/sh\n", "with space": "#!/bin/sh\necho space\n",
           "\u00e9": "#!/bin/sh\necho accent\n", "closed/tool": "#!/bin/sh\necho closed\n"}
ARGUMENTS = 'int main(int c, char **v) { while (*++v) printf("[%s]", *v); return 0; }'
EXITS = "int main(int c, char **v) { return atoi(v[1]); }"


def furnish(path):
    path.mkdir()
    for name, data in SCRIPTS.items():
        write(path / name, data)
    (path / "closed").chmod(0o700)
    write(path / "not-executable", "#!/bin/sh\n", mode=0o644)
    write(path / "binary", BYTES, mode=0o644)
    for name, target in {"link": "tool", "dangling": "nowhere", "loop": "loop", "link-to-cat": "/bin/cat"}.items():
        (path / name).symlink_to(target)
    os.link(path / "tool", path / "hard")
    for name in ("folder", "mounted"):
        (path / name).mkdir()
    compile_c(ARGUMENTS, path / "arguments")
    compile_c(EXITS, path / "exits")


class Side(Runner):
    """One agent's side of a case."""

    def text(self, desc):
        """The kernel's reason stands in the middle of what qemu-ga 7.2 says of a program that it could not start."""
        short = super().text(desc)
        reasons = [reason for reason in REASONS if f"({reason})" in desc]
        return f"<text>: {reasons[0]}" if short == "<text>" and reasons else short

    def fill(self, value):
        if isinstance(value, list):
            return [self.fill(inner) for inner in value]
        return super().fill(value)

    def told(self, reply):
        return self.seen(ended(reply["return"])) if "return" in reply else self.normal(reply)

    def over(self, number, seconds=10):
        return self.told(poll(self.client, number, seconds))

    def status(self, number):
        return self.normal(self.client.call("guest-exec-status", {"pid": number}))

    def seen(self, got):
        """A result that can be compared and read: long output as its length and digest."""
        row = {name: value for name, value in got._asdict().items() if value is not None}
        for name in {"out", "err"} & set(row):
            data = row[name].replace(str(self.path).encode(), b"$dir")
            short = len(data) < 5000
            row[name] = data.decode("utf-8", "backslashreplace") if short else f"{len(data)} of {hashlib.sha256(data).hexdigest()}"
        return row

    def step(self, step):
        if callable(step):
            return step(self)
        command, arguments, more, envelope = (*step, {}, {})[:4]
        reply = self.client.call(command, self.fill({**arguments, **more}), timeout=30, **envelope)
        if command == "guest-exec" and "return" in reply:
            return self.over(reply["return"]["pid"])
        return self.normal(reply)


def row_for(asked, theirs, mine):
    return next((row["id"] for row in ROWS if all(re.search(row[key], words, re.S) for key, words in
                 (("request", asked), ("peer", theirs), ("ours", mine)))), None)


def shown(name, step):
    return f"{name}: " + (step.__name__ if callable(step) else json.dumps(step))


def compare(name, theirs, mine):
    wrong = []
    for step in CASES[name]:
        pair = [json.dumps(side.step(step), sort_keys=True) for side in (theirs, mine)]
        if pair[0] == pair[1]:
            continue
        row = row_for(shown(name, step), *pair)
        USED.add(row)
        if row is None:
            wrong.append(f"{shown(name, step)[:300]}\n   qemu-ga: {pair[0][:600]}\n   ours:    {pair[1][:600]}")
    return wrong


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    if not os.path.exists(PEER_PROGRAM):
        pytest.skip("qemu-ga is missing (package qemu-guest-agent)")
    base = tmp_path_factory.mktemp("x")
    places = [base / "p", base / "o"]
    for place in places:
        place.mkdir()
        furnish(place / "files")
    with Peer(places[0], cwd=places[0] / "files") as theirs, Agent(places[1], "open", cwd=places[1] / "files") as mine:
        yield theirs, mine


@pytest.mark.parametrize("name", CASES)
def test_same(name, both):
    sides = [Side(agent, pathlib.Path(agent.cwd)) for agent in both]
    try:
        wrong = compare(name, *sides)
    finally:
        for side in sides:
            side.client.close()
    assert not wrong, "\n".join(wrong)


def test_enough():
    assert len(CASES) >= 60 and sum(map(len, CASES.values())) >= 240


def test_every_row_is_used(request):
    """Runs last in this file. A row that no request needs is not a difference any more."""
    if not all(f"test_same[{name}]" in {item.name for item in request.session.items} for name in CASES):
        pytest.skip("only meaningful after all cases")
    ids = [row["id"] for row in ROWS]
    assert len(set(ids)) == len(ids)
    assert not set(ids) - USED
