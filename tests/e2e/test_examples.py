"""What README and the manual pages show works as it stands there: policies compile without a warning, commands are
understood, and a refusal looks as README says."""

import json
import re
import shlex
import subprocess

import pytest

from harness import BUILD, ROOT, Agent, split_error

MAN = ROOT / "broker" / "man"


def ctl(*arguments, **options):
    return subprocess.run([BUILD / "bulkheadctl", *map(str, arguments)], capture_output=True, text=True, timeout=60, **options)


def displays(page):
    """What stands between .nf and .fi, as it is printed."""
    text = (MAN / page).read_text()
    found = re.findall(r"^\.nf\n(.*?)^\.fi$", text, re.M | re.S)
    return [block.replace("\\-", "-").replace("\\(aq", "'") for block in found]


def indented(text):
    """The indented blocks of a Markdown text."""
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.M)
    return [re.sub("^    ", "", block, flags=re.M).strip("\n") + "\n" for block in found]


README = indented((ROOT / "README.md").read_text())
POLICIES = [text for text in README + displays("bulkhead-policy.5") if re.search("^policy 1$", text, re.M)]
WHOLE = [text for text in POLICIES if "commands" in text]
DROP_INS = [text for text in POLICIES if "commands" not in text]


def test_there_are_examples():
    assert len(WHOLE) == 6 and len(DROP_INS) == 1


def test_examples_show_each_setting_condition_and_method():
    settings = re.findall(r'\{ \.name = "([\w-]+)"', (ROOT / "policy" / "lang" / "settings.c").read_text())
    words = set(re.findall(r"[\w-]+", "".join(WHOLE + DROP_INS)))
    assert len(settings) > 8
    assert not [name for name in settings if name not in words]
    assert {"path", "beneath", "glob", "interfaces", "users", "except", "only", "fence-landlock"} <= words
    assert {"virtio", "unix-listen", "isa-serial", "vsock-listen"} <= words


@pytest.mark.parametrize("text", WHOLE, ids=["readme", "man-one-channel", "man-two-channels", "man-other-ways", "man-mounts",
                                              "man-programs"])
def test_policy_compiles(folder, text):
    (folder / "policy").write_text(text)
    done = ctl("policy", "check", "--json", folder / "policy")
    answer = json.loads(done.stdout)
    warned = [row["text"] for row in answer["findings"]]
    assert done.returncode == 0 and answer["good"] and len(warned) == text.count('"/run/systemd/private"'), done.stdout
    assert all("gives its program the socket /run/systemd/private" in line for line in warned)


def test_drop_in_compiles_beside_the_policy_of_two_channels(folder):
    (folder / "policy").write_text(WHOLE[2])
    (folder / "policy.d").mkdir()
    (folder / "policy.d" / "logs.policy").write_text(DROP_INS[0])
    check = ctl("policy", "check", "--json", folder / "policy")
    assert check.returncode == 0 and json.loads(check.stdout)["findings"] == [], check.stdout
    explain = ["policy", "explain", "--policy", folder / "policy", "guest-file-open", "path=/var/log/app/x", "--channel"]
    assert "allowed by rule app-logs" in ctl(*explain, "main").stdout
    assert ctl(*explain, "backup").returncode == 1
    see = ["policy", "explain", "--policy", folder / "policy", "guest-network-get-interfaces", "--object"]
    assert [ctl(*see, name, "--channel", channel).returncode
            for name, channel in [("eth0", "main"), ("backup0", "main"), ("backup0", "backup"), ("eth0", "backup")]] == \
        [0, 1, 0, 1]


def test_the_inbox_of_the_manual(folder):
    (folder / "policy").write_text(WHOLE[3])
    for path, mode, verdict in [("new", "a", 0), ("new", "w", 1), ("new", "r", 1), ("x.done", "a", 1), ("../x", "a", 1)]:
        done = ctl("policy", "explain", "--policy", folder / "policy", "--channel", "relay", "guest-file-open",
                   f"path=/srv/inbox/{path}", f"mode={mode}")
        assert done.returncode == verdict, (path, mode, done.stdout, done.stderr)


def test_the_mounts_of_the_manual(folder):
    (folder / "policy").write_text(WHOLE[4])
    for channel, mount, verdict, required in [
            ("backup", "/data", "allow", False), ("backup", "/data/db", "allow", True), ("backup", "/", "deny", False),
            ("backup", "/data/scratch", "deny", False), ("main", "/data/scratch", "allow", False),
            ("main", "/data/db", "allow", False), ("main", "/var/lib/docker/x", "deny", False)]:
        answer = json.loads(ctl("policy", "explain", "--policy", folder / "policy", "--channel", channel, "--json", "--object",
                                mount, "guest-fsfreeze-freeze").stdout)
        assert (answer["verdict"], answer["required"]) == (verdict, required), (channel, mount, answer)
    thaw = ["policy", "explain", "--policy", folder / "policy", "guest-fsfreeze-thaw", "--channel"]
    assert [ctl(*thaw, channel).returncode for channel in ("backup", "main")] == [0, 0]


def test_the_programs_of_the_manual(folder):
    (folder / "policy").write_text(WHOLE[5])
    for channel, words, verdict in [
            ("provider", ["path=/usr/bin/systemctl", "arg=restart", "arg=nginx.service"], "restart-nginx"),
            ("provider", ["path=/usr/bin/systemctl", "arg=stop", "arg=nginx.service"], ""),
            ("provider", ["path=/usr/bin/df", "arg=-h", "arg=/srv/www"], "disks"),
            ("provider", ["path=/usr/bin/df", "arg=-a"], ""),
            ("provider", ["path=/usr/bin/df", "env=LANG=C"], "disks"),
            ("provider", ["path=/usr/bin/df", "env=LD_PRELOAD=/x"], ""),
            ("app", ["path=/usr/local/bin/import", "arg=--batch", "arg=7", "arg=app-1.csv", "arg=-v"], "import"),
            ("app", ["path=/usr/local/bin/import", "arg=--batch", "arg=501", "arg=app-1.csv"], ""),
            ("app", ["path=/usr/bin/df"], ""),
            ("local", ["path=/usr/bin/apt-get", "arg=update"], "upgrade"),
            ("local", ["path=/usr/bin/apt-get", "arg=update", "arg=-o"], "")]:
        answer = json.loads(ctl("policy", "explain", "--policy", folder / "policy", "--channel", channel, "--json", "guest-exec",
                                *words).stdout)
        assert (answer["verdict"], answer["rule"]) == ("allow" if verdict else "deny", verdict), (channel, words, answer)


@pytest.mark.root
def test_commands_of_the_manual(folder):
    """Each is understood and reaches the agent: it may be refused, but is no mistake of usage."""
    (folder / "here").mkdir()
    (folder / "here" / "qemu-ga").write_text("FILTER_RPC_ARGS=\"--block-rpcs=guest-exec\"\n")
    lines = displays("bulkheadctl.8")[0].replace("/etc/sysconfig/qemu-ga", "qemu-ga").splitlines()
    assert len(lines) >= 8
    with Agent(folder / "agent", "open"):
        for line in lines:
            words, _, out = line.partition(" > ")
            program, *arguments = shlex.split(words)
            end = arguments.index("--") if arguments[0] == "exec" else len(arguments)
            done = ctl(*arguments[:end], "--state-dir", folder / "agent", *arguments[end:], cwd=folder / "here")
            refused = 255 if arguments[0] == "exec" else 1  # as ssh has it
            assert program == "bulkheadctl" and done.returncode in (0, refused), (line, done.stderr)
            if out:
                (folder / "here" / out).write_text(done.stdout)
            assert not re.search("no option|cannot be opened|no such", done.stderr), (line, done.stderr)


@pytest.mark.root
def test_refusal_of_readme(folder):
    """The two transcripts: but for numbers, paths and what "..." leaves out they are what is printed."""
    shown = next(text for text in README if "read /etc/shadow" in text).splitlines()
    with Agent(folder, WHOLE[0]) as agent:
        done = agent.ctl("read", "/etc/shadow", "--state-dir", folder, check=False)
        assert done.returncode == 1
        line = done.stderr.strip()
        assert re.sub(r"record \d+", "record N", shown[1]) == re.sub(r"record \d+", "record N", line)
        number = split_error({"error": {"class": "", "desc": line}})[3]
        agent.record(number)
        done = agent.ctl("policy", "explain", "--record", number, "--state-dir", folder, check=False)
        printed = done.stdout.replace(f"{folder}/policy", "/etc/bulkhead/policy").splitlines()
        assert done.returncode == 1 and shown[2] == f"$ bulkheadctl policy explain --record {re.search(r'record ([0-9]+)', shown[1])[1]}"
        assert json.loads(printed[0])["n"] == number and shown[3].startswith('{ "n": ')
        assert printed[1:] == shown[4:], done.stdout
