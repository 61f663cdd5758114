"""The command line, the configuration file, and life as a daemon: beside qemu-ga where it says the same."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import BUILD, PEER_PROGRAM, ROOT, Agent, Client, kill, proc_status, stat_of, wait_for

BULKHEAD = str(BUILD / "bulkhead")
KEYFILE_MAX = 65536
SOCKET_MAX = 107


def run(*arguments, config=None, environment=None, cwd=None, program=BULKHEAD, **more):
    """A run that ends by itself. Without `config`, $QGA_CONF names a file that does not exist."""
    env = {"QGA_CONF": str(config or "/nonexistent/qemu-ga.conf"), **(environment or {})}
    return subprocess.run([program, *(word if isinstance(word, bytes) else str(word) for word in arguments)], env=env, cwd=cwd, capture_output=True, timeout=30,
                          stdin=subprocess.DEVNULL, **more)


def fails(done, *words):
    """Status 1, nothing on stdout, one sentence on stderr that has these words."""
    text = done.stderr.decode(errors="replace")
    assert (done.returncode, done.stdout) == (1, b""), (done.returncode, done.stdout, text)
    assert not [word for word in words if word not in text], text
    return text


def write(folder, text, name="qemu-ga.conf", mode=0o600):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


# --- -D beside qemu-ga ---------------------------------------------------------------------------------------------

ARGUMENTS = {
    "none": [],
    "short": ["-m", "isa-serial", "-p", "/dev/x", "-l", "/l", "-f", "/f", "-t", "/t", "-v", "-d", "-r", "-b", "a,b"],
    "long": ["--method=unix-listen", "--path", "/s", "--logfile=l", "--pidfile", "f", "--fsfreeze-hook=/h", "--statedir=t",
             "--verbose", "--daemonize", "--block-rpcs=a", "--retry-path"],
    "abbreviated": ["--meth", "unix-listen", "--pat=/s", "--l=/l", "--pi=/f", "--f", "--s=/t", "--verb", "--daemon",
                    "--b=x", "--r"],
    "hook bare": ["-F"],
    "hook attached": ["-F/my/hook"],
    "hook and word": ["-F", "/my/hook"],
    "stray words": ["one", "-v", "two"],
    "after --": ["-v", "--", "-d"],
    "twice": ["-m", "isa-serial", "-m", "unix-listen", "-p", "a", "-p", "b"],
    "lists": ["-b", "a,b,c", "-b", "d,e"],
    "empty names": ["-b", "a,,b,"],
    "comma": ["-b", ","],
    "empty list": ["-b", ""],
    "old name": ["--blacklist=a,b", "-b", "c"],
    "no such command": ["-b", "guest-frobnicate"],
    "semicolons": ["-b", "a;b"],
    "spaces": ["-b", " a , b "],
    "odd characters": ["-t", " \tx\ny\r\\z;,#\x7f=", "-f", "\t"],
    "umlaut": ["-p", "/ä€😀"],
    "no UTF-8": ["-p", b"/\xff\x80"],
    "empty path": ["-p", ""],
    "empty method": ["-m", "", "-p", "/x"],
    "empty folders": ["-t", "", "-f", "", "-l", ""],
    "unknown method": ["-m", "pigeon", "-p", "/x"],
    "vsock": ["-m", "vsock-listen", "-p", "3:1024"],
    "isa": ["-m", "isa-serial"],
    "virtio": ["-m", "virtio-serial", "-r"],
    "unix without path": ["-m", "unix-listen"],
    "vsock without path": ["-m", "vsock-listen"],
    "unknown without path": ["-m", "pigeon"],
    "unknown option": ["-x"],
    "unknown long": ["--frobnicate"],
    "ambiguous": ["--p=/x"],
    "no argument": ["-p"],
    "too much": ["--verbose=1"],
    "combined": ["-vdr"],
    "dump long": ["--dump-conf"],
    "dump abbreviated": ["--du"],
}

G = "[general]\n"
FILES = {
    "empty": "",
    "comments": "# a\n   # b\n\n \t\n",
    "group only": G,
    "all": G + "daemon=true\nmethod=isa-serial\npath=/p\nlogfile=/l\npidfile=/f\nfsfreeze-hook=/h\nstatedir=/t\nverbose=true\n"
           "retry-path=true\nblock-rpcs=a,b\n",
    "numbers": G + "daemon=1\nverbose=0\nretry-path = 1 \t\n",
    "test-qga": G + "daemon=false\nmethod=virtio-serial\npath=/path/to/org.qemu.guest_agent.0\npidfile=/var/foo/qemu-ga.pid\n"
                "statedir=/var/state\nverbose=true\nblock-rpcs=guest-ping;guest-get-time\n",
    "escapes": G + "logfile=a\\sb\\tc\\\\d\\ne\\rf\n",
    "escapes first": G + "logfile=\\s\\s\\tx\\ty\n",
    "white space": G + "  path \t =  \t x y \n\f method=isa-serial\n",
    "no last LF": G + "method=isa-serial",
    "CRLF": "[general]\r\nmethod=isa-serial\r\n",
    "last counts": G + "path=a\nverbose=x\npath=b\nverbose=1\n",
    "group again": "[other]\npath=x\nfoo\t=\n" + G + "path=a\n[x y] \t\n" + G + "method=isa-serial\n",
    "unknown keys": G + "foo=bar\na b=1\nfoo=\\q\nauto-update=\xff\n",
    "languages": G + "path[de]=x\npath[de_DE.UTF-8@euro]=y\npath[]=z\n",
    "semicolon key": G + ";x=1\n",
    "empty values": G + "path=\nlogfile=\npidfile=\nstatedir=\nblock-rpcs=\nfsfreeze-hook=\n",
    "umlaut": G + "path=/ä€😀\ufffe\n",
    "encoding": G + "Encoding=utf-8\n[x]\nEncoding=latin1\n",
    "list escapes": G + "block-rpcs=\\sa\\n,b ,, c\n",
    "old name": G + "blacklist=a,b\n",
    "method alone": G + "method=unix-listen\n",
    "unknown method": G + "method=pigeon\npath=/x\n",
    # What is wrong ends both with status 1.
    "no group": "verbose=true\n",
    "no pair": G + "verbose\n",
    "semicolon": G + ";x\n",
    "no key": G + "=1\n",
    "after group": "[general] x\n",
    "empty group": "[]\n",
    "bracket in group": "[a[b]\n",
    "control in group": "[a\x01]\n",
    "bracket in key": G + "a]=1\n",
    "space in language": G + "a[x y]=1\n",
    "space before language": G + "path [de]=1\n",
    "byte order mark": "\ufeff" + G,
    "escape": G + "path=a\\q\n",
    "escape at end": G + "path=a\\\n",
    "separator escape": G + "path=a\\;b\n",
    "TRUE": G + "verbose=TRUE\n",
    "yes": G + "daemon=yes\n",
    "no boolean": G + "retry-path=\n",
    "two booleans": G + "verbose=1 1\n",
    "escaped boolean": G + "verbose=\\s1\n",
    "other encoding": G + "Encoding=latin1\n",
    "no UTF-8": (G + "path=").encode() + b"\xff\n",
}

BOTH = {
    "scalars": ("all", "short"),
    "scalars long": ("all", "long"),
    "lists add up": ("all", "lists"),
    "lists and old name": ("old name", "old name"),
    "hook over hook": ("all", "hook bare"),
    "path for method": ("method alone", "empty path"),
    "method over method": ("unknown method", "isa"),
    "file breaks": ("yes", "short"),
    "verbose stays": ("all", "none"),
}

CASES = {**{f"arguments, {name}": (None, arguments) for name, arguments in ARGUMENTS.items()},
         **{f"file, {name}": (text, []) for name, text in FILES.items()},
         **{f"both, {name}": (FILES[file], ARGUMENTS[line]) for name, (file, line) in BOTH.items()}}

# What differs from qemu-ga, and why; each has its test below.
# - The line allow-rpcs: qemu-ga prints it since 8.1, and the one beside us may be older.
# - blacklist beside block-rpcs: qemu-ga 7.2 drops block-rpcs then. Both only take away, so here both hold.
# - NUL bytes: a file that has one is refused; qemu-ga reads each line up to the first.


@pytest.fixture
def qemu_ga():
    if not os.path.exists(PEER_PROGRAM):
        pytest.skip(f"{PEER_PROGRAM} is missing (package qemu-guest-agent)")
    return PEER_PROGRAM


def without_allow(dump):
    return re.sub(rb"(?m)^allow-rpcs=.*\n", b"", dump)


def test_enough():
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_dump_as_qemu_ga(folder, qemu_ga, name):
    text, arguments = CASES[name]
    config = None if text is None else write(folder, text)
    theirs, ours = (run("-D", *arguments, config=config, cwd=folder, program=program) for program in (qemu_ga, BULKHEAD))
    assert ours.returncode == theirs.returncode, (ours.stderr, theirs.stderr)
    if ours.returncode == 0:
        assert without_allow(ours.stdout) == without_allow(theirs.stdout)
        assert bool(ours.stderr) == bool(theirs.stderr) == ("blacklist" in (text or ""))
        assert ours.stdout.count(b"\nallow-rpcs=\n") == 1  # the last line, as since 8.1
    else:
        assert ours.stdout == b"" and ours.stderr.startswith((b"bulkhead: ", BULKHEAD.encode()))
        assert ours.stderr.count(b"\n") <= 2


def test_dump_is_a_configuration(folder):
    """What -D prints is read back to the same."""
    first = run("-D", "-a", "x,y", "-b", ",z", "-t", " \\\tx\n", "--policy", "open", "--audit-dir", "/a", *ARGUMENTS["short"]).stdout
    assert b"\nallow-rpcs=y,x\npolicy=open\naudit-dir=/a\n" in first and b"\nblock-rpcs=z,,b,a\n" in first
    again = run("-D", config=write(folder, first)).stdout
    # Each reading turns a list round, as qemu-ga's does.
    assert again == first.replace(b"=y,x\n", b"=x,y\n").replace(b"=z,,b,a\n", b"=a,b,,z\n")
    assert run("-D", config=write(folder, again)).stdout == first


def test_old_and_new_name_of_the_list(folder, qemu_ga):
    config = write(folder, G + "blacklist=x\nblock-rpcs=z\n")
    ours, theirs = run("-D", config=config), run("-D", config=config, program=qemu_ga)
    assert b"\nblock-rpcs=z,x\n" in ours.stdout and b"block-rpcs" in ours.stderr
    assert b"\nblock-rpcs=x\n" in theirs.stdout or b"\nblock-rpcs=z\n" in theirs.stdout  # one of them, by version


def test_nul_bytes(folder, qemu_ga):
    config = write(folder, G + "path=a\0b\n")
    assert b"\npath=a\n" in run("-D", config=config, program=qemu_ga).stdout
    fails(run("-D", config=config), f"{config}:2:7: ", "NUL")


def test_inherited_socket(folder, qemu_ga):
    """LISTEN_FDS decides the method; more than one socket, or another kind, is refused."""
    start = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); " \
        "os.execv(sys.argv[2], sys.argv[2:])"

    def dump(program, listener, count, *arguments):
        number = listener.fileno()
        return subprocess.run(["/usr/bin/python3", "-B", "-c", start, str(number), program, "-D", *arguments], timeout=30,
                              env={"LISTEN_FDS": count, "QGA_CONF": "/nonexistent"}, pass_fds=[number], capture_output=True)

    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as tcp, socket.socket(socket.AF_UNIX) as idle:
        unix.bind(str(folder / "s"))
        unix.listen()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        idle.bind(str(folder / "idle"))
        for listener, count, status, arguments in [(unix, "1", 0, []), (unix, "1", 0, ["-m", "isa-serial", "-p", "/x"]),
                                                   (unix, "0", 0, []), (unix, "2", 1, []), (tcp, "1", 1, [])]:
            theirs, ours = (dump(program, listener, count, *arguments) for program in (qemu_ga, BULKHEAD))
            assert (ours.returncode, theirs.returncode) == (status, status), (count, ours.stderr)
            assert without_allow(ours.stdout) == without_allow(theirs.stdout)
        assert b"\npath=" not in dump(BULKHEAD, unix, "1").stdout
        fails(dump(BULKHEAD, unix, "2"), "LISTEN_FDS is 2")
        fails(dump(BULKHEAD, idle, "1"), "neither a unix nor a virtio")
    with open("/dev/null") as null:
        fails(dump(BULKHEAD, null, "1"), "neither a unix nor a virtio")


def test_a_socket_for_another_process_is_not_ours():
    done = run("-D", environment={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert b"method=virtio-serial" in done.stdout


# --- help, version, names -------------------------------------------------------------------------------------------

@pytest.fixture
def as_qemu_ga(folder):
    """The program under qemu-ga's name, in a folder of its own."""
    path = folder / "sbin" / "qemu-ga"
    path.parent.mkdir()
    path.symlink_to(BULKHEAD)
    return str(path)


def test_version_and_help(as_qemu_ga, folder):
    broken = write(folder, "broken")
    for option in ("-V", "--version", "--vers"):
        assert run(option, config=broken).stdout.startswith(b"Bulkhead ")
        assert run(option, program=as_qemu_ga).stdout == b"QEMU Guest Agent 10.2.0\n"
    for option in ("-h", "--help"):
        done = run(option, config=broken)
        assert done.returncode == 0 and not done.stderr and done.stdout.startswith(b"Usage: bulkhead ")
        assert run(option, program=as_qemu_ga).stdout == done.stdout.replace(b"Usage: bulkhead", b"Usage: qemu-ga", 1)


def long_options():
    source = "".join((ROOT / "broker" / name).read_text() for name in ("qgaoptions.h", "supervisor/options.c"))
    return set(re.findall(r'\{ "([a-z-]{2,})", \w+_argument', source))


def test_help_names_every_option():
    text = run("-h").stdout.decode()
    names = long_options() - {"service"}
    assert len(names) == 17 and not [name for name in names if f"--{name}" not in text]


def test_manual_names_every_option_and_key():
    page = (ROOT / "broker/man/bulkhead.8").read_text().replace("\\-", "-")
    assert not [name for name in long_options() | {"blacklist"} if f"--{name}" not in page]
    keys = re.findall(r'\{ "([a-z-]+)", (?:STRING|BOOLEAN|LIST)', (ROOT / "broker/supervisor/config.c").read_text())
    section = page.split(".SH CONFIGURATION FILE")[1].split(".SH")[0]
    assert len(keys) == 14 and not [key for key in keys if not re.search(rf"(?m)^\.?B?R? ?.*\b{key}\b", section)]


@pytest.mark.parametrize("arguments", [["-b", "help"], ["-b", "?"], ["-a", "help"], ["--allow-rpcs=?"], ["-D", "-b", "help"]],
                         ids=" ".join)
def test_names_of_commands(qemu_ga, start, arguments):
    ours = run(*arguments)
    names = ours.stdout.decode().split()
    assert ours.returncode == 0 and not ours.stderr
    theirs = run("-b", "help", program=qemu_ga).stdout.decode().split()
    assert [name for name in names if name in theirs] == [name for name in theirs if name in names]
    if arguments == ["-b", "help"]:
        with start().client() as client:
            served = [row["name"] for row in client.ok("guest-info")["supported_commands"]]
        assert sorted(served) == sorted(names)


def test_called_as_qemu_ga(folder, as_qemu_ga):
    """Another name, another folder, no environment: the same agent."""
    agent = Agent(folder / "a", "open", "-b", "no-such", cwd=folder)
    agent.command = lambda: [as_qemu_ga, *Agent.command(agent)[1:]]
    with agent, agent.client() as client:
        assert client.ok("guest-ping") == {}
        assert "bulkhead-front" in [row["name"] for row in agent.processes()]
        assert agent.ctl("status", "--state-dir", agent.folder).returncode == 0
        assert re.search(r"(?m)^qemu-ga\[\d+\] warning: .*no-such$", agent.log_text())
    assert fails(run("-m", "pigeon", "-p", "x", program=as_qemu_ga)).startswith("qemu-ga: ")


# --- what is refused ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments,words", [
    (["-m", "pigeon", "-p", "/x"], ["pigeon", "virtio-serial", "unix-listen"]),
    (["-m", ""], ["method"]),
    (["-m", "unix-listen"], ["-p SOCKET"]),
    (["-m", "vsock-listen"], ["-p CID:PORT"]),
    (["-m", "unix-listen", "-p", ""], ["empty"]),
    (["-t", "/nonexistent"], ["/nonexistent", "state folder"]),
    (["-t", "/dev/null"], ["is not a folder"]),
    (["--audit-dir", "/nonexistent"], ["/nonexistent", "audit folder"]),
    (["-l", ""], ["log file", "empty"]),
    (["-d", "-f", ""], ["pid file", "empty"]),
    (["--fsfreeze-hook="], ["freeze hook", "empty"]),
    (["-c", "/nonexistent"], ["/nonexistent", "No such file"]),
    (["-c", "/"], ["not a regular file"]),
    (["-s"], ["Windows"]),
    (["--service=install"], ["Windows"]),
    (["-x"], ["invalid option", "--help"]),
], ids=lambda value: " ".join(value) or "none")
def test_refused(folder, arguments, words):
    fails(run("-t", folder, *arguments, cwd=folder), *words)


@pytest.mark.parametrize("text,place,words", [
    ("verbose=true\n", "1:1", "[general]"),
    ("# x\n\n[general]\n  nonsense\n", "4:3", "key=value"),
    ("[general]\n =x\n", "2:2", "key is missing"),
    ("[]\n", "1:2", "name"),
    (" [a[b]\n", "1:4", "brackets"),
    ("[a\tb]\n", "1:3", "control"),
    ("[general]\nkey]=1\n", "2:4", "character"),
    ("[general]\npath = a\\qb\n", "2:9", "backslash"),
    ("[general]\npath=\\\n", "2:6", "backslash"),
    ("[general]\npath=\\s\\q\n", "2:8", "backslash"),
    ("[general]\n\nverbose =  yes\n", "3:12", "true, false, 1 or 0"),
    ("[general]\nEncoding=x\n", "2:10", "UTF-8"),
    (b"[general]\nlogfile= \xc3\n", "2:10", "UTF-8"),
    (b"[general]\n# \0\n", "2:3", "NUL"),
])
def test_errors_of_the_file(folder, text, place, words):
    config = write(folder, text)
    for done in (run("-D", config=config), run("-D", "-c", config), run("-c", config)):
        assert fails(done, words).startswith(f"bulkhead: {config}:{place}: ")


def test_size_of_the_file(folder):
    for size, good in ((KEYFILE_MAX - 1, True), (KEYFILE_MAX, True), (KEYFILE_MAX + 1, False)):
        text = G + "method=isa-serial\n#"
        config = write(folder, text + "x" * (size - len(text)))
        done = run("-D", config=config)
        if good:
            assert b"isa-serial" in done.stdout
        else:
            fails(done, str(config), str(KEYFILE_MAX))


def test_length_of_a_socket_path(folder):
    for length, words in ((SOCKET_MAX, "nowhere"), (SOCKET_MAX + 1, "107")):
        path = f"{folder}/nowhere/"
        fails(run("--policy", "open", "-t", folder, "-m", "unix-listen", "-p", path + "x" * (length - len(path))), words)


def test_file_that_others_may_write(folder):
    """Printed, but not followed: it could name another policy."""
    config = write(folder, G + "method=isa-serial\n", mode=0o664)
    assert run("-D", config=config).returncode == 0
    fails(run("-t", folder, config=config), str(config), "nobody else")


def test_which_file(folder):
    of_environment, named = write(folder, G + "path=env\n", "env"), write(folder, G + "path=named\n", "named")
    assert b"\npath=env\n" in run("-D", config=of_environment).stdout
    for option in (["-c", named], [f"-c{named}"], ["--config", named], [f"--config={named}"]):
        assert b"\npath=named\n" in run(*option, "-D", config=of_environment).stdout
    assert b"path=/dev/virtio-ports" in run("-D", config=folder / "missing").stdout
    fails(run("-D", "-c", folder / "missing", config=of_environment), "missing")


def test_shortest_name_of_the_list():
    """Unambiguous in qemu-ga, so it stays so beside --audit-dir."""
    assert run("-D", "--a=x").stdout.endswith(b"\nallow-rpcs=x\n")


def test_lists_add_up(folder):
    config = write(folder, G + "allow-rpcs=a,b\nblock-rpcs=c\n")
    lines = run("-D", "-b", "d", "-a", "e,f", "-a", "g", "-b", "", config=config).stdout.decode().splitlines()
    assert lines[-2:] == ["block-rpcs=c,d", "allow-rpcs=b,a,f,e,g"]


# --- running with them -----------------------------------------------------------------------------------------------

def disabled(client, command):
    kind, text, _, _ = client.error(command)
    return kind == "CommandNotFound" and "has been disabled" in text


def test_blocked_commands(start):
    """As qemu-ga's own tests have it: blocked names are refused, others work."""
    with start("open", "-b", "guest-ping,guest-get-time").client() as client:
        assert disabled(client, "guest-ping") and disabled(client, "guest-get-time")
        assert client.ok("guest-get-osinfo")
        rows = {row["name"]: row["enabled"] for row in client.ok("guest-info")["supported_commands"]}
        assert [name for name, enabled in sorted(rows.items()) if not enabled] == ["guest-get-time", "guest-ping"]


def test_allowed_commands(start):
    with start("open", "-a", "guest-ping,guest-get-time").client() as client:
        assert client.ok("guest-ping") == {} and client.ok("guest-get-time") > 0
        assert disabled(client, "guest-get-osinfo") and disabled(client, "guest-sync")


def test_bulkheadctl_without_sync(start):
    """It says what is missing instead of waiting for an answer that cannot come."""
    agent = start("open", "-a", "guest-ping")
    begin = time.monotonic()
    done = agent.ctl("call", "guest-ping", "--state-dir", agent.folder, check=False)
    assert done.returncode == 1 and "guest-sync-delimited" in done.stderr and time.monotonic() - begin < 5


def test_block_wins_and_files_count(start, folder):
    config = write(folder, G + "allow-rpcs=guest-ping,guest-get-time\nblock-rpcs=guest-get-osinfo\n")
    with start("open", "-c", config, "-a", "guest-sync,guest-get-osinfo", "-b", "guest-get-time").client() as client:
        assert client.ok("guest-ping") == {} and not client.sync()
        assert disabled(client, "guest-get-time") and disabled(client, "guest-get-osinfo")


def test_empty_list_is_none(start):
    """-D prints empty lists: read back, they must not take everything away."""
    with start("open", "-a", "", "-b", "").client() as client:
        assert client.ok("guest-ping") == {}


def test_lists_in_the_status(start):
    agent = start("open", "-a", "guest-ping,guest-sync,x\x1by", "-b", "")
    status = agent.status()
    assert status["allow-rpcs"] == ["x\x1by", "guest-sync", "guest-ping"] and status["block-rpcs"] is None
    shown = agent.ctl("status", "--state-dir", agent.folder).stdout
    assert re.search(r"(?m)^allow-rpcs \S+ guest-sync guest-ping$", shown) and "\x1b" not in shown
    assert "block-rpcs" not in shown


def test_explain_knows_the_lists(start):
    """What the agent refuses because of -a and -b is not explained as allowed; a policy that is named stands for itself."""
    agent = start("standard", "-b", "guest-get-load")
    place = ["--state-dir", agent.folder]
    with agent.client() as client:
        assert disabled(client, "guest-get-load")
    done = agent.ctl("policy", "explain", "guest-get-load", *place, check=False)
    assert done.returncode == 1 and "refused: the agent's -a and -b" in done.stdout and "(BH1201)" in done.stdout
    answer = json.loads(agent.ctl("policy", "explain", "--json", "guest-get-load", *place, check=False).stdout)
    assert (answer["verdict"], answer["code"], answer["withheld"]) == ("deny", "BH1201", True)
    assert agent.ctl("policy", "explain", "guest-ping", *place).returncode == 0
    assert agent.ctl("policy", "explain", "guest-get-load", "--policy", "standard", *place).returncode == 0
    agent.stop()
    agent = start("standard", "-a", "guest-ping")
    place = ["--state-dir", agent.folder]
    assert agent.ctl("policy", "explain", "guest-ping", *place).returncode == 0
    assert agent.ctl("policy", "explain", "guest-info", *place, check=False).returncode == 1


def test_explain_says_that_the_files_have_changed(start):
    agent = start("policy 1\ncommands 49\nallow @sync\n")
    words = ["policy", "explain", "guest-ping", "--state-dir", agent.folder]
    assert not agent.ctl(*words).stderr
    agent.write_policy("policy 1\ncommands 49\nallow @info\n")
    done = agent.ctl(*words, check=False)
    assert done.returncode == 1 and "the policy has changed since the agent read it" in done.stderr
    agent.ctl("reload", "--state-dir", agent.folder)
    assert not agent.ctl(*words, check=False).stderr


def test_lines_about_the_lists(start):
    """What -a cannot open, and what is no command; a name that -b takes away again is neither."""
    agent = start("standard", "-a", "guest-ping,guest-file-open,guest-file-read,guest-frob,guest-file-seek",
                  "-b", "guest-file-seek,a\nb\x1b[1m\x9b")
    lines = agent.log_text().splitlines()
    unopened = [line for line in lines if "no policy allows" in line]
    unknown = [line for line in lines if "no command" in line]
    assert len(unopened) == len(unknown) == 1
    assert " notice: " in unopened[0] and unopened[0].endswith("no policy allows: guest-file-read, guest-file-open")
    assert " warning: " in unknown[0] and unknown[0].endswith("guest-frob, a\\x0ab\\x1b[1m\\xc2\\x9b")
    assert not [line for line in start("open", "-a", "guest-ping", "-b", "guest-info").log_text().splitlines()
                if "allow-rpcs" in line]


def test_many_unknown_names_are_counted(start):
    names = [f"guest-number-{number}" for number in range(200)]
    line = next(line for line in start("open", "-b", ",".join(names)).log_text().splitlines() if "no command" in line)
    shown = line.count("guest-number-")
    assert 10 < shown < 200 and line.endswith(f", and {200 - shown} more")


def test_empty_environment_and_relative_paths(folder):
    """As qemu-ga's tests start it: no PATH, and a file of the working folder by its name."""
    agent = Agent(folder / "a", "open", "-l", "log.txt", cwd=folder)
    (folder / "note").write_text("here")
    agent.command = lambda: ["/usr/bin/env", "-i", *Agent.command(agent)]
    with agent, agent.client() as client:
        assert client.read(client.open("note"))[0] == b"here"
        assert (folder / "log.txt").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_with_0_though_a_client_is_there(start, number):
    agent = start()
    with agent.client() as client:
        assert client.ok("guest-ping") == {}
        agent.process.send_signal(number)
        assert agent.process.wait(5) == 0


def test_state_that_qemu_ga_left(start, folder):
    """Its counter and its mark of a freeze mean nothing to us, and stay as they are."""
    for name, text in (("qga.state", "garbage"), ("qga.state.isfrozen", "")):
        write(folder, text, name)
    agent = Agent(folder, "open")
    with agent, agent.client() as client:
        assert client.ok("guest-ping") == {}
        assert client.open("/etc/hostname") > 1000
    assert (folder / "qga.state").read_text() == "garbage" and (folder / "qga.state.isfrozen").exists()


# --- the log -------------------------------------------------------------------------------------------------------

STAMPED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z bulkhead[a-z-]*\[\d+\] (error|warning|notice|debug): .+")


def test_log_file(start, folder):
    log = write(folder, "kept\n", "log", 0o640)
    agent = start("open", "-l", log)
    with agent.client() as client:
        client.ok("guest-ping")
        kill(agent.processes("front")[0]["pid"])
        assert client.ok("guest-ping") == {}
    lines = wait_for(lambda: "signal 9" in log.read_text() and log.read_text().splitlines(), 5, "the death in the log")
    assert lines[0] == "kept" and not [line for line in lines[1:] if not STAMPED.fullmatch(line)]
    assert oct(log.stat().st_mode & 0o777) == "0o640"
    assert " debug: " not in log.read_text() and agent.log_text() == ""
    new = folder / "new"
    start("open", "-l", new)
    assert oct(new.stat().st_mode & 0o777) == "0o600"


def test_standard_error_has_no_time(start):
    text = start().log_text()
    assert re.match(r"bulkhead\[\d+\] notice: ", text)


def test_verbose_tells_no_request(start, folder):
    agent = start("open", "-v", "-l", folder / "log")
    with agent.client() as client:
        client.write(client.open(folder / "out", "w"), b"canary-of-the-data")
        client.call("guest-canary-of-the-name", {"canary": "of the arguments"})
        client.send(b'{"canary"}\n')
        client.sync()
    agent.stop()
    text = (folder / "log").read_text()
    assert " debug: " in text
    assert "canary" not in text and "Y2FuYXJ5" not in text


def test_log_file_that_cannot_be_opened(folder):
    text = fails(run("--policy", "open", "-t", folder, "-m", "unix-listen", "-p", folder / "s", "-l", folder / "no" / "log"))
    assert "no/log cannot be opened" in text and not (folder / "s").exists()


@pytest.mark.root
def test_log_file_behind_a_link(start, folder):
    """Root's own link is followed, that of another user is not, neither at the start nor when the log is opened anew."""
    target, link = folder / "target", folder / "link"
    link.symlink_to(target)
    agent = start("open", "-l", link)
    assert "channel main" in target.read_text()
    os.lchown(link, 12345, 12345)
    before = target.read_text()
    agent.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "cannot be opened anew" in target.read_text(), 5, "the refusal in the old log")
    assert target.read_text().startswith(before)
    target.unlink()
    text = fails(run("--policy", "open", "-t", folder, "-m", "unix-listen", "-p", folder / "s", "-l", link))
    assert "link that somebody else made; name the file itself" in text and not target.exists()


def test_start_up_errors_are_told_twice(folder):
    """To the log, and to who started it."""
    done = run("--policy", "open", "-t", folder, "-m", "unix-listen", "-p", folder / "no" / "s", "-l", folder / "log")
    assert "no/s" in fails(done) and "no/s" in (folder / "log").read_text()


# --- the daemon ----------------------------------------------------------------------------------------------------

class Daemon:
    """An agent started with -d; ended by the number in its pid file."""

    def __init__(self, folder, *options, program=BULKHEAD, **more):
        self.folder, self.pid_file, self.socket = folder, folder / "pid", folder / "s"
        self.done = run("--policy", "open", "-t", folder, "-m", "unix-listen", "-p", self.socket, "-d", "-f", self.pid_file,
                        *options, program=program, **more)
        self.pid = int(self.pid_file.read_text()) if self.done.returncode == 0 else None

    def __enter__(self):
        assert self.done.returncode == 0, self.done.stderr
        return self

    def __exit__(self, *_):
        self.end()

    def end(self, number=signal.SIGTERM):
        if self.pid is None:
            return
        kill(self.pid, number)
        wait_for(lambda: (stat_of(self.pid) or (0, 0, "Z"))[2] == "Z", 10, "the daemon to end")
        self.pid = None


def test_daemon(folder):
    """When the command returns, the agent serves, and nothing of its starter is left in it."""
    with Daemon(folder) as daemon:
        with Client(daemon.socket) as client:  # at once: no waiting
            assert client.ok("guest-ping") == {}
        assert daemon.done.stdout == daemon.done.stderr == b""
        assert daemon.pid_file.read_bytes() == b"%d\n" % daemon.pid
        assert oct(daemon.pid_file.stat().st_mode & 0o777) == "0o600"
        proc = f"/proc/{daemon.pid}"
        assert os.readlink(f"{proc}/cwd") == "/" and os.getsid(daemon.pid) == daemon.pid
        assert [os.readlink(f"{proc}/fd/{number}") for number in range(3)] == ["/dev/null"] * 3
        assert proc_status(daemon.pid)["Umask"] == "0077"
        with open(daemon.pid_file, "rb+") as file, pytest.raises(OSError):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not daemon.pid_file.exists() and not daemon.socket.exists()


def test_daemon_of_the_configuration_with_relative_paths(folder):
    config = write(folder, G + "daemon=1\nmethod=unix-listen\npath=s\npidfile=pid\nstatedir=.\nlogfile=log\npolicy=my.policy\n")
    write(folder, "policy 1\ncommands 49\nallow guest-ping\n", "my.policy")
    assert run(config=config, cwd=folder).returncode == 0
    try:
        with Client(folder / "s") as client:
            assert client.ok("guest-ping") == {} and disabled(client, "guest-get-time")
        assert STAMPED.match((folder / "log").read_text())
        shown = subprocess.run([BUILD / "bulkheadctl", "status", "--state-dir", folder], capture_output=True, text=True)
        assert f"\nlog        {folder}/log\npid file   {folder}/pid\n" in shown.stdout
    finally:
        kill(int((folder / "pid").read_text()), signal.SIGTERM)
        wait_for(lambda: not (folder / "pid").exists(), 10, "the daemon to end")


def test_pid_file_of_a_daemon_only(folder):
    with Agent(folder / "a", "open", "-f", folder / "pid") as agent:
        assert not (folder / "pid").exists()
        assert (agent.status()["log-file"], agent.status()["pid-file"]) == (None, None)
        shown = agent.ctl("status", "--state-dir", agent.folder).stdout
        assert "\nlog        standard error\n" in shown and "pid file" not in shown


def test_status_of_a_daemon_without_a_log(folder):
    with Daemon(folder) as daemon:
        shown = subprocess.run([BUILD / "bulkheadctl", "status", "--state-dir", folder], capture_output=True, text=True)
        assert f"\nlog        /dev/null\npid file   {daemon.pid_file}\n" in shown.stdout
        rows = shown.stdout.split("\nPROCESS")[1].splitlines()[1:]
        assert [row.split()[0] for row in rows][:2] == ["supervisor", "audit"]
        assert max(map(len, rows)) <= 80, "a row fits a console"


def test_second_daemon(folder):
    """It is refused before the command returns, and touches nothing of the first."""
    with Daemon(folder) as first:
        before = first.pid_file.stat()
        second = Daemon(folder, "-p", folder / "s2")
        fails(second.done, str(first.pid_file), f"process {first.pid}")
        after = first.pid_file.stat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
        assert not (folder / "s2").exists()
        with Client(first.socket) as client:
            assert client.ok("guest-ping") == {}


def test_daemon_that_cannot_open_its_channel(folder):
    daemon = Daemon(folder, "-p", folder / "no" / "s")
    fails(daemon.done, "no/s", "No such file")
    assert not daemon.pid_file.exists()


def test_daemon_whose_log_cannot_be_opened(folder):
    fails(Daemon(folder, "-l", folder / "no" / "log").done, "no/log")
    assert not (folder / "pid").exists()


def broken(folder, name):
    """The agent's programs, one of which is none."""
    programs = folder / "programs"
    programs.mkdir()
    for path in BUILD.glob("bulkhead*"):
        if path.is_file():
            shutil.copy(path, programs)
    write(programs, "no program", name, 0o755)
    return str(programs / "bulkhead")


def test_daemon_whose_front_does_not_start(folder):
    """The channel is open, and nobody would answer: that is a failure, told with the process's name."""
    daemon = Daemon(folder, program=broken(folder, "bulkhead-front"))
    fails(daemon.done, "main/front ended with status", "main/front cannot be started")
    assert not daemon.pid_file.exists() and not daemon.socket.exists()


@pytest.mark.root
def test_pid_file_is_not_a_child_s(folder):
    """A child that dies before it is another program is a copy of the daemon, and leaves its pid file alone. As an ordinary
    user, for root's children cannot reach it any more."""
    program = broken(folder, "bulkhead-info")
    os.chown(folder, 65534, 65534)
    with Daemon(folder, "-l", folder / "log", program=program, user=65534, group=65534, extra_groups=[]) as daemon:
        with Client(daemon.socket) as client:
            assert client.error("guest-get-osinfo")[0] == "GenericError"
        assert "bulkhead-info" in (folder / "log").read_text()
        assert daemon.pid_file.exists()


def test_pid_file_of_a_killed_daemon_is_taken_over(folder):
    with Daemon(folder) as first:
        number = first.pid
        first.end(signal.SIGKILL)
        assert first.pid_file.read_text() == f"{number}\n"
    with Daemon(folder) as second, Client(second.socket) as client:
        assert second.pid != number and client.ok("guest-ping") == {}


def test_pid_file_of_somebody_else_stays(folder):
    """Whoever has put another file in the place keeps it."""
    with Daemon(folder) as daemon:
        daemon.pid_file.unlink()
        daemon.pid_file.write_text("1\n")
    assert daemon.pid_file.read_text() == "1\n"


def make_symlink(path):
    (path.parent / "aim").write_text("")
    path.symlink_to(path.parent / "aim")


def make_text(path):
    path.write_text("root:x:0:0::/root:/bin/sh\n")


def make_number_and_more(path):
    path.write_text("12\nmore\n")


def make_long_number(path):
    path.write_text("1" * 40)


def make_hard_link(path):
    (path.parent / "aim").write_text("1\n")
    os.link(path.parent / "aim", path)


def make_writable(path):
    path.write_text("1\n")
    path.chmod(0o666)


def make_foreign(path):
    path.write_text("1\n")
    path.chmod(0o600)
    os.chown(path, 4242, 4242)


def make_fifo(path):
    os.mkfifo(path, 0o600)


def make_folder(path):
    path.mkdir()


@pytest.mark.root
@pytest.mark.parametrize("make,words", [
    (make_symlink, "symbolic link"), (make_text, "something else"), (make_number_and_more, "something else"),
    (make_long_number, "something else"), (make_hard_link, "not a pid file of ours"), (make_writable, "not a pid file of ours"),
    (make_foreign, "not a pid file of ours"), (make_fifo, "not a pid file of ours"), (make_folder, "directory"),
])
def test_pid_file_that_is_none(folder, make, words):
    """Neither followed nor written to nor removed."""
    path = folder / "pid"
    make(path)
    before = (path.lstat().st_ino, path.lstat().st_mtime_ns, path.lstat().st_mode)
    fails(Daemon(folder).done, str(path), words)
    assert before == (path.lstat().st_ino, path.lstat().st_mtime_ns, path.lstat().st_mode)
    assert not (folder / "s").exists()


@pytest.mark.parametrize("text", ["", "1\n", "123456"])
def test_pid_file_that_is_left_over(folder, text):
    write(folder, text, "pid")
    with Daemon(folder) as daemon:
        assert daemon.pid_file.read_bytes() == b"%d\n" % daemon.pid


def test_daemon_holds_no_pipe_of_its_starter(folder):
    """`ssh guest qemu-ga -d` returns: nobody keeps standard output or error open, with a log file or without."""
    for options in ([], ["-l", folder / "log"]):
        begin = time.monotonic()
        with Daemon(folder, *options):
            assert time.monotonic() - begin < 5
