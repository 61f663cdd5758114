"""What an allow-list of programs keeps out: each attempt to get more than its rules grant is refused, and its audit record
names the code, and the rule where one decided. What the rules do grant works, so that nothing is refused by accident.

Each program is a copy of one that shows its arguments, environment and user, in a place that only root writes.
"""

import json
import os
import re
import time

import pytest

from execs import MNT, SHOW, begin, compile_c, copy, digest, finish, is_unknown, refusal, request, rule, run, serving, write
from harness import ROOT, wait_for

pytestmark = pytest.mark.root
NO_RULE, DENIED, LIMIT, KERNEL = 1202, 1203, 1205, 1301
BIN = MNT / "bin"
NOBODY = 65534
COPIES = ["systemctl", "journalctl", "files", "words", "dashes", "free", "any-env", "pinned", "reader", "forbidden", "limited", "pathed"]


def furnish():
    show = compile_c(SHOW, BIN / "show", "-static")
    for name in COPIES:
        copy(show, BIN / name)
    compile_c("int main(void) { for (;;) pause(); }", BIN / "sleeper", "-static")
    for name, mode, owner in (("group-writable", 0o775, 0), ("world-writable", 0o757, 0), ("foreign", 0o755, NOBODY),
                              ("not-executable", 0o644, 0), ("set-uid", 0o4755, 0)):
        copy(show, BIN / name, owner=owner).chmod(mode)
    for name, mode, owner in (("open", 0o777, 0), ("sticky", 0o1777, 0), ("groups", 0o775, 0), ("foreign-folder", 0o755, NOBODY)):
        copy(show, MNT / name / "tool")
        copy(show, MNT / name / "deep" / "tool")
        (MNT / name).chmod(mode)
        os.chown(MNT / name, owner, owner)
    copy("/bin/sh", BIN / "loose-sh", mode=0o757)
    write(BIN / "script", '#!/bin/sh\nprintf "[%s]" script "$@"\n')
    write(BIN / "loose-script", f'#!{BIN}/loose-sh\nprintf "[%s]" script "$@"\n')
    write(BIN / "script-of-script", f"#!{BIN}/script\n")
    copy("/bin/busybox", BIN / "busybox")
    for name, target in {"linked": MNT / "open" / "tool", "echo": "busybox", "sh": "busybox", "also-forbidden": "forbidden",
                         "alias": "systemctl", "dangling": "nowhere"}.items():
        (BIN / name).symlink_to(target)
    (MNT / "open" / "alias").symlink_to(BIN / "systemctl")
    os.link(BIN / "systemctl", BIN / "hard")
    (MNT / "data").mkdir()
    write(MNT / "data" / "x", "x", mode=0o644)


FILES = {name: BIN / name for name in ("group-writable", "world-writable", "foreign", "not-executable", "set-uid", "script",
                                       "loose-script", "script-of-script", "linked", "dangling")}
FILES |= {f"{folder}{deep}": MNT / folder / deep.lstrip("-") / "tool" for folder in ("open", "sticky", "groups", "foreign-folder")
          for deep in ("", "-deep")}


def rules():
    furnish()
    of = {"restart-nginx": rule("restart-nginx", BIN / "systemctl", 'args "restart" { "nginx.service", "php-fpm.service" }',
                                "user root", "sandbox diag", "timeout 60s", "output 64K"),
          "log-tail": rule("log-tail", BIN / "journalctl", f'sha256 "{digest(BIN / "journalctl")}"', 'env "LANG"',
                           'args "-u" glob "app-*.service" "-n" int 1..500'),
          "pinned": rule("pinned", BIN / "pinned", f'sha256 "{"0" * 64}"', "rest any"),
          "files": rule("files", BIN / "files", f'args beneath "{MNT}/data"'),
          "words": rule("words", BIN / "words", "args any"),
          "dashes": rule("dashes", BIN / "dashes", "args any dash-ok"),
          "free": rule("free", BIN / "free", "rest any", 'env "LANG" "A"'),
          "any-env": rule("any-env", BIN / "any-env", "env any"),
          "pathed": rule("pathed", BIN / "pathed", "search yes", 'env "PATH"'),
          "reader": rule("reader", BIN / "reader", "stdin yes"),
          "echo": rule("echo", BIN / "echo", "rest any"),
          "box": rule("box", BIN / "busybox", "args any any"),
          "sleeper": rule("sleeper", BIN / "sleeper", "rest any", "concurrent 2"),
          "limited": rule("limited", BIN / "limited", "rate 3/min"),
          "two-names": rule("two-names", f'"{BIN}/forbidden" "{BIN}/also-forbidden" "{BIN}/dangling"', on="beta"),
          "no-forbidden": f'rule no-forbidden: deny @exec on beta {{\n    program "{BIN}/forbidden"\n}}\n',
          "other": rule("other", BIN / "show", on="beta") + "allow @extension on beta\n"}
    of |= {name: rule(f"file-{name}", path, "rest any") for name, path in FILES.items()}
    return list(of.values())


@pytest.fixture(scope="module")
def agent():
    with serving(rules) as pair:
        yield pair


@pytest.fixture
def client(agent):
    with agent.client() as connection:
        yield connection


# What is granted.

GRANTED = {
    "restart": ("restart-nginx", [BIN / "systemctl", "restart", "nginx.service"], {}),
    "restart the other": ("restart-nginx", [BIN / "systemctl", "restart", "php-fpm.service"], {}),
    "tail": ("log-tail", [BIN / "journalctl", "-u", "app-1.service", "-n", "500"], {"env": ["LANG=C"]}),
    "file": ("files", [BIN / "files", "/mnt/data/a/b"], {}),
    "the folder itself": ("files", [BIN / "files", "/mnt/data"], {}),
    "a word": ("words", [BIN / "words", "a -b; $(c)"], {}),
    "a dash": ("dashes", [BIN / "dashes", "-rf"], {}),
    "free": ("free", [BIN / "free", "a", "b"], {"env": ["A=1", "LANG="]}),
    "any variable": ("any-env", [BIN / "any-env"], {"env": ["HARMLESS=1"]}),
    "input": ("reader", [BIN / "reader"], {"stdin": b"x"}),
    "no input": ("reader", [BIN / "reader"], {}),
    "script": ("file-script", [BIN / "script", "a"], {}),
    "no input for whom it is not": ("words", [BIN / "words", "x"], {"capture": False}),
}


@pytest.mark.parametrize("name", GRANTED)
def test_granted(agent, client, name):
    wanted, words, options = GRANTED[name]
    got = run(client, *words, **options)
    assert got.exitcode == 0, got
    if options.get("capture", True):
        name = "script" if wanted == "file-script" else words[0]
        assert (got.out or b"").startswith("".join(f"[{word}]" for word in [name, *words[1:]]).encode())
    acts = wait_for(lambda: [row for row in agent.audit("act") if row.get("rule") == wanted], 5, "the record")
    assert acts[-1]["obj"] == str(words[0]) and acts[-1]["cmd"] == "guest-exec"


# What is not: (arguments of guest-exec, codes, rule that decided or None).

def no(path, *words, codes=(NO_RULE,), by=None, **options):
    return request(path, *words, **options), codes, by


SYSTEMCTL, JOURNAL = BIN / "systemctl", BIN / "journalctl"
UNIT = ("restart", "nginx.service")
BAD_UNITS = {"none": [], "fewer": ["restart"], "one more": [*UNIT, "--now"], "an empty one more": [*UNIT, ""], "moved": UNIT[::-1],
             "another verb": ["stop", UNIT[1]], "another unit": ["restart", "sshd.service"], "joined": ["restart nginx.service"],
             "an empty one first": ["", *UNIT], "an option first": ["--root=/tmp", *UNIT], "line feed": ["restart", "nginx.service\n"],
             "case": ["restart", "Nginx.service"], "longer": ["restart", "nginx.service.d"], "shorter": ["restart", "nginx"],
             "twice": [*UNIT, "php-fpm.service"], "white space": ["restart", " nginx.service"], "4096 more": [*UNIT, *["x"] * 4000]}
BAD_NUMBERS = ["0", "501", "-5", "007", "0x10", "1e2", " 5", "5 ", "+5", "18446744073709551621", "", "5\n", "\u0665", "1.0"]
BAD_APPS = ["app-../x.service", "-app-x.service", "app-x.service/../..", "xapp-a.service", "app-x.service\n", "app-", "APP-x.service"]
BAD_FILES = ["/mnt/data/../secret", "/mnt/data/..", "/mnt/database", "data/x", "/mnt//data/x", "/mnt/data/./x", "/mnt/data/x/", "", "/",
             "--file=/mnt/data/x", "/mnt/data/x/../../../etc/shadow", "/proc/self/root/mnt/data/x", "/MNT/data/x", " /mnt/data/x"]
VARIABLES = ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "LD_DEBUG_OUTPUT", "GCONV_PATH", "LOCPATH", "BASH_ENV", "ENV", "IFS", "PATH",
             "PYTHONPATH", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "RUBYOPT", "NODE_OPTIONS", "GLIBC_TUNABLES", "MALLOC_CHECK_", "HOME",
             "TMPDIR", "SHELL", "EDITOR", "PAGER", "SYSTEMD_PAGER", "LANGUAGE", "lang", "LAN", "LANG ", " LANG", ""]
NEVER = re.findall(r'"(\w+\*?)"', (ROOT / "policy" / "environ.c").read_text().split("refused[] = {")[1].split("};")[0])
NAMES = {"case": "/mnt/bin/SYSTEMCTL", "relative": "mnt/bin/systemctl", "bare": "systemctl", "dot": "./systemctl",
         "slash": "/mnt/bin/systemctl/",
         "slash dot": "/mnt/bin/systemctl/.", "hard link": "/mnt/bin/hard", "empty": "",
         "/proc/self/exe": "/proc/self/exe", "/proc/1/root": "/proc/1/root/mnt/bin/systemctl", "/proc/1/exe": "/proc/1/exe",
         "/proc/self/task": "/proc/self/task/1/root/mnt/bin/systemctl",
         "another program": "/bin/sh", "a longer name": "/mnt/bin/systemctl2", "a folder": "/mnt/bin", "/": "/",
         "lf": "/mnt/bin/systemctl\n",
         "blank": "/mnt/bin/systemctl ", "/dev/stdin": "/dev/stdin", "/dev/tty": "/dev/tty"}
NAMES |= {f"/proc/self/fd/{n}": f"/proc/self/fd/{n}" for n in range(0, 40, 3)} | {f"/dev/fd/{n}": f"/dev/fd/{n}" for n in range(3, 13)}

EVASIONS = {f"unit: {name}": no(SYSTEMCTL, *words) for name, words in BAD_UNITS.items()}
EVASIONS |= {f"number: {word!r}": no(JOURNAL, "-u", "app-1.service", "-n", word) for word in BAD_NUMBERS}
EVASIONS |= {f"glob: {word!r}": no(JOURNAL, "-u", word, "-n", "5") for word in BAD_APPS}
EVASIONS |= {f"beneath: {word!r}": no(BIN / "files", word) for word in BAD_FILES}
EVASIONS |= {f"dash: {word}": no(BIN / "words", word) for word in ("-rf", "--", "-", "--help")}
EVASIONS |= {f"variable: {name!r}": no(BIN / "free", env=[f"{name}=/mnt/open/x"]) for name in VARIABLES}
EVASIONS |= {f"never: {name}": no(BIN / "any-env", env=["LANG=C", f"{name.replace('*', 'X')}=/mnt/open/x"]) for name in NEVER}
EVASIONS |= {f"variable: {text!r}": no(BIN / "free", env=env) for text, env in {
    "no value": ["LANG=C", "LD_PRELOAD"], "no name": ["=x"], "empty": [""], "granted, then not": ["LANG=C", "A=1", "LD_PRELOAD=x"],
    "within a value": ["LD_PRELOAD=x\nLANG=C"]}.items()}
EVASIONS |= {"variable where none is granted": no(SYSTEMCTL, *UNIT, env=["LANG=C"]),
             "input where none is granted": no(SYSTEMCTL, *UNIT, stdin=b"x"),
             "no input but a pipe": no(BIN / "words", "x", stdin=b"")}
EVASIONS |= {f"program: {name}": no(path, *UNIT) for name, path in NAMES.items()}
EVASIONS |= {f"file: {name}": no(FILES[name], codes=(DENIED,), by=f"file-{name}") for name in FILES
             if name not in ("script", "set-uid", "not-executable", "dangling")}
EVASIONS["program: link in a writable folder"] = no(MNT / "open" / "alias", *UNIT, codes=(DENIED,), by="restart-nginx")
EVASIONS |= {"wrong digest": no(BIN / "pinned", codes=(DENIED,), by="pinned"),
             "busybox as sh": no(BIN / "sh", "-c", "id", "x"), "the box behind a link": no(BIN / "busybox", "sh", "-c", "id")}


@pytest.mark.parametrize("name", EVASIONS)
def test_evasion(agent, client, name):
    arguments, codes, by = EVASIONS[name]
    code, record = refusal(agent, client, arguments)
    assert code in codes
    assert record and record["cmd"] == "guest-exec" and (by is None or record.get("rule") == by), record
    path = arguments["path"]
    assert record.get("obj", "") in (path, f"/usr/bin/{path}") or record["obj"] == os.path.realpath(path), record


def test_enough():
    assert len(EVASIONS) >= 40


SHAPES = {"nul in the path": {"path": "/mnt/bin/systemctl\0", "arg": list(UNIT)},
          "nul in an argument": request(SYSTEMCTL, "restart\0", UNIT[1]),
          "nul in a word": request(BIN / "words", "a\0b"), "nul in a variable": request(BIN / "free", env=["LANG=C\0LD_PRELOAD=x"]),
          "nul in a name": request(BIN / "free", env=["LANG\0=C"]), "10 MB of arguments": request(BIN / "free", *["x" * 100000] * 100),
          "one byte too long": request(BIN / "free", "x" * 131072), "32769 arguments": request(BIN / "free", *["x"] * 32769),
          "a long path": request("/" + "x" * 4096)}


@pytest.mark.parametrize("name", SHAPES)
def test_what_no_program_could_be_told(agent, client, name):
    """Refused before it is judged: one error, nothing runs, and the agent goes on."""
    before = len(agent.audit("act"))
    assert client.error("guest-exec", SHAPES[name], timeout=30)[0] == "GenericError"
    assert client.sync() == []
    assert len(agent.audit("act")) == before


@pytest.mark.parametrize("name", ["not-executable", "dangling"])
def test_granted_but_not_to_be_had(agent, client, name):
    """The policy allows it, so the kernel's reason is told."""
    _, words, code, number = client.error("guest-exec", request(FILES[name]))
    assert code == KERNEL and agent.record(number)["rule"] == f"file-{name}"
    assert {"not-executable": "Permission denied", "dangling": "No such file"}[name] in words


@pytest.mark.parametrize("path", ["//mnt//bin/systemctl", "/mnt/./bin/systemctl", "/mnt/bin/../bin/systemctl", "/mnt/bin/alias",
                                  "/proc/self/root/mnt/bin/systemctl", "/proc/self/cwd/../../../../mnt/bin/systemctl"])
def test_the_same_object_by_another_name(agent, client, path):
    """Is refused, or is what the rule says in every respect: its own name, arguments still judged."""
    reply = client.call("guest-exec", request(path, *UNIT))
    if "return" in reply:
        assert finish(client, reply["return"]["pid"]).out.startswith(f"[{SYSTEMCTL}][restart][nginx.service]".encode())
    assert refusal(agent, client, request(path, "stop", "nginx.service"))[0] == NO_RULE


@pytest.mark.parametrize("path", ["/mnt/bin/forbidden", "/mnt/bin/also-forbidden", "//mnt/bin/forbidden", "/mnt/bin/dangling"])
def test_denied(agent, path):
    """By either name, and where it cannot be told what a name leads to."""
    with agent.client(channel="beta") as other:
        code, record = refusal(agent, other, request(path))
    assert code == DENIED and record["rule"] == "no-forbidden"


def test_a_multi_call_program_is_called_as_the_rule_says(client):
    assert run(client, BIN / "echo", "x").out == b"x\n"
    reply = client.call("guest-exec", request(BIN / "sh", "true", "x"))
    if "return" in reply:  # the box by another name is the box: it takes the name of an applet first
        assert finish(client, reply["return"]["pid"]).exitcode == 0, "a shell would look for a script of this name"


def test_set_uid_gives_nothing_in_a_sandbox(client):
    reply = client.call("guest-exec", request(BIN / "set-uid"))
    if "return" in reply:
        assert b"(0)" not in finish(client, reply["return"]["pid"]).out


def test_duplicate_path(agent, client):
    """Two values of one name: which one holds would be anybody's guess."""
    code, record = refusal(agent, client, request(BIN / "pathed", env=["PATH=/bin", "PATH=/mnt/open"]))
    assert code == NO_RULE and record


def test_search_finds_no_program_that_others_could_have_put_there(agent, client):
    for env in (["PATH=/mnt/open:/mnt/bin"], ["PATH=:/mnt/bin"], ["PATH=."], ["PATH=bin"], ["PATH="]):
        code, record = refusal(agent, client, request("tool", env=env))
        assert code == NO_RULE and record


def test_rate(agent, client):
    for _ in range(3):
        assert run(client, BIN / "limited").exitcode == 0
    code, record = refusal(agent, client, request(BIN / "limited"))
    assert code == LIMIT and record["rule"] == "limited"
    assert run(client, BIN / "free").exitcode == 0, "other rules have their own"


# The other channel.

def test_what_runs_belongs_to_its_channel(agent, client):
    """Its number says nothing to another, which can neither look, read, write, signal nor list; at most two run at a time."""
    numbers = [begin(client, BIN / "sleeper") for _ in range(2)]
    code, record = refusal(agent, client, request(BIN / "sleeper"))
    assert code == LIMIT and record["rule"] == "sleeper"
    with agent.client(channel="beta") as other:
        for command, more in (("guest-exec-status", {}), ("bulkhead-exec-read", {}), ("bulkhead-exec-signal", {}),
                              ("bulkhead-exec-write", {"stdin-b64": "eA=="})):
            assert all(is_unknown(other, command, number, **more) for number in numbers), command
        assert other.ok("bulkhead-exec-list") == []
        assert refusal(agent, other, request(BIN / "sleeper"))[0] == NO_RULE, "nor do rules reach beyond their channel"
        own = begin(other, BIN / "show")
        assert is_unknown(client, "guest-exec-status", own)
        assert finish(other, own).exitcode == 0
    assert all(client.call("guest-exec-status", {"pid": number}) == {"return": {"exited": False}} for number in numbers)


@pytest.mark.parametrize("command", ["bulkhead-exec", "bulkhead-exec-read", "bulkhead-exec-write", "bulkhead-exec-signal",
                                     "bulkhead-exec-list"])
def test_extensions_are_not_granted_by_a_rule_for_guest_exec(client, command):
    listed = {row["name"]: row["enabled"] for row in client.ok("guest-info")["supported_commands"]}
    assert not listed.get(command) and listed["guest-exec"] and listed["guest-exec-status"]
    arguments = {"path": str(BIN / "free")} if command == "bulkhead-exec" else {"pid": 1}
    assert client.error(command, {} if command.endswith("list") else arguments)[:3:2] == ("CommandNotFound", 1201)


def test_the_extension_is_judged_by_the_same_rules(agent):
    with agent.client(channel="beta") as other:
        arguments = {"path": str(BIN / "show")}
        assert other.ok("bulkhead-exec", arguments)["pid"] > 0
        for more in ({"arg": ["x"]}, {"env": ["A=1"]}, {"path": "/bin/sh"}, {"input": True}):
            code, record = refusal(agent, other, {**arguments, **more}, "bulkhead-exec")
            assert code == NO_RULE and record


def test_refusals_leave_no_trace_of_a_program(agent):
    """After all of them: nothing ran that was refused, and the chain of records is whole."""
    time.sleep(0.1)
    ran = {row["obj"] for row in agent.audit("act") if row.get("cmd") in ("guest-exec", "bulkhead-exec")}
    allowed = {str(BIN / name) for name in (*COPIES, "show", "sleeper", "script", "busybox", "echo", "set-uid")}
    assert ran <= allowed, json.dumps(sorted(ran - allowed))
    agent.verify()
