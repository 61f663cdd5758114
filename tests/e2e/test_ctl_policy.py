"""bulkheadctl policy migrate, diff and check, and the channels of a policy: without an agent, but for --running.

What migrate makes of a configuration is held against the real qemu-ga, which is started with the same one.
"""

import json
import os
import subprocess

import pytest

from harness import BUILD, PEER_PROGRAM, ROOT, Peer

COMMANDS = [name for name, row in json.loads((ROOT / "protocol" / "schema.json").read_text())["commands"].items()
            if row["classes"] != ["@extension"]]  # what qemu-ga has as well
NEWER = {"guest-network-get-route", "guest-get-load"}  # than the peer
# What RHEL 9.4 and 10 ship in /etc/sysconfig/qemu-ga.
RHEL = ("guest-sync-delimited,guest-sync,guest-ping,guest-get-time,guest-set-time,guest-info,guest-shutdown,"
        "guest-fsfreeze-status,guest-fsfreeze-freeze,guest-fsfreeze-freeze-list,guest-fsfreeze-thaw,guest-fstrim,"
        "guest-suspend-disk,guest-suspend-ram,guest-suspend-hybrid,guest-network-get-interfaces,guest-get-vcpus,"
        "guest-set-vcpus,guest-get-disks,guest-get-fsinfo,guest-set-user-password,guest-get-memory-blocks,"
        "guest-set-memory-blocks,guest-get-memory-block-info,guest-get-host-name,guest-get-users,guest-get-timezone,"
        "guest-get-osinfo,guest-get-devices,guest-ssh-get-authorized-keys,guest-ssh-add-authorized-keys,"
        "guest-ssh-remove-authorized-keys,guest-get-diskstats,guest-get-cpustats")
RHEL_8 = ("guest-file-open,guest-file-close,guest-file-read,guest-file-write,guest-file-seek,guest-file-flush,"
          "guest-exec,guest-exec-status")


def ctl(*arguments, **more):
    words = [word if isinstance(word, bytes) else str(word) for word in arguments]
    return subprocess.run([BUILD / "bulkheadctl", *words], capture_output=True, text=True, timeout=60, **more)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    return path


def migrate(folder, config="", sysconfig=None, arguments=(), status=0):
    """The finished process; with status 0 its JSON."""
    words = ["policy", "migrate", "--json", "--config", write(folder / "conf", config)]
    if sysconfig is not None:
        words += ["--sysconfig", write(folder / "sysconfig", sysconfig)]
    done = ctl(*words, "--", *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout) if status == 0 else done


def warnings(made):
    return [row["text"] for row in made["findings"] if row["severity"] == "warning"]


# Each: a configuration file, arguments.
PEER_CASES = {
    "nothing": ("", []),
    "empty group": ("[general]\n", []),
    "one": ("[general]\nblock-rpcs=guest-exec\n", []),
    "rhel 8": (f"[general]\nblock-rpcs={RHEL_8}\n", []),
    "blanks around the sign": ("  [general]  \n  block-rpcs  =  guest-exec,guest-fstrim\n", []),
    "blank behind a comma": ("[general]\nblock-rpcs=guest-exec, guest-fstrim\n", []),
    "blank at the end": ("[general]\nblock-rpcs=guest-exec,guest-fstrim \n", []),
    "escaped blank": ("[general]\nblock-rpcs=\\sguest-exec,guest-fstrim\n", []),
    "semicolons": ("[general]\nblock-rpcs=guest-exec;guest-exec-status;guest-file-open\n", []),
    "semicolons and commas": ("[general]\nblock-rpcs=guest-exec;guest-fstrim,guest-shutdown\n", []),
    "unknown names": ("[general]\nblock-rpcs=guest-nonsense,guest-exec,Guest-Fstrim,guest-exe\n", []),
    "empty list": ("[general]\nblock-rpcs=\n", []),
    "empty names": ("[general]\nblock-rpcs=,,guest-exec,,guest-fstrim,\n", []),
    "said twice": ("[general]\nblock-rpcs=guest-exec\nblock-rpcs=guest-fstrim\n", []),
    "group twice": ("[general]\nblock-rpcs=guest-exec\n[x]\ny=z\n[general]\nblock-rpcs=guest-fstrim\n", []),
    "another group": ("[General]\nblock-rpcs=guest-exec\n", []),
    "another case": ("[general]\nBlock-rpcs=guest-exec\n", []),
    "for a language": ("[general]\nblock-rpcs[de]=guest-fstrim\nblock-rpcs=guest-exec\n", []),
    "quotes": ('[general]\nblock-rpcs="guest-exec"\n', []),
    "comment behind": ("[general]\nblock-rpcs=guest-exec # not this\n", []),
    "comments": ("# a\n\n[general]\n  # b\nblock-rpcs=guest-exec\n#block-rpcs=guest-fstrim\n", []),
    "line ends of Windows": ("[general]\r\nblock-rpcs=guest-exec,guest-fstrim\r\n", []),
    "no line end": ("[general]\nblock-rpcs=guest-exec", []),
    "blacklist": ("[general]\nblacklist=guest-exec\n", []),
    "blacklist hides block-rpcs": ("[general]\nblock-rpcs=guest-fstrim\nblacklist=guest-exec\n", []),
    "both sources": ("[general]\nblock-rpcs=guest-exec\n", ["-b", "guest-fstrim,guest-shutdown"]),
    "attached": ("", ["-bguest-exec", "--block-rpcs=guest-fstrim"]),
    "old and short names": ("", ["--blacklist=guest-exec", "--blackl", "guest-fstrim", "--block=guest-shutdown"]),
    "grouped": ("", ["-vbguest-exec", "-F/nowhere", "-F"]),
    "a stray word": ("", ["stray", "-b", "guest-exec", "--", "-b", "guest-fstrim"]),
    "two dashes as a value": ("", ["-b", "--", "stray", "-b", "guest-exec"]),
    "empty argument": ("", ["", "-b", "guest-exec", "-b", ""]),
    "other keys": ("[general]\nverbose = 1 \nretry-path=false\nlogfile=\nblock-rpcs=guest-info\n", []),
    "everything": (f"[general]\nblock-rpcs={','.join(set(COMMANDS) - {'guest-ping', 'guest-info'})}\n", []),
}


@pytest.mark.skipif(not os.path.exists(PEER_PROGRAM), reason=f"{PEER_PROGRAM} is missing (package qemu-guest-agent)")
@pytest.mark.parametrize("name", PEER_CASES)
def test_migrate_is_what_qemu_ga_serves(folder, monkeypatch, name):
    config, arguments = PEER_CASES[name]
    made = migrate(folder, config, arguments=arguments)
    monkeypatch.setenv("QGA_CONF", str(folder / "conf"))
    with Peer(folder / "peer", "-l", folder / "peer.log", *arguments) as peer, peer.client() as client:
        reply = client.call("guest-info")
    if "guest-info" in made["withheld"]:
        assert "has been disabled" in reply["error"]["desc"]
        return
    served = {row["name"] for row in reply["return"]["supported_commands"] if row["enabled"]}
    assert served & set(COMMANDS) == set(made["granted"]) - NEWER
    assert sorted(made["granted"] + made["withheld"]) == sorted(COMMANDS)


@pytest.mark.parametrize("name", PEER_CASES)
def test_what_migrate_prints_is_a_good_policy(folder, name):
    config, arguments = PEER_CASES[name]
    done = ctl("policy", "migrate", "--config", write(folder / "conf", config), "--", *arguments)
    assert done.returncode == 0, done.stderr
    policy = write(folder / "policy", done.stdout)
    checked = ctl("policy", "check", policy)
    assert checked.returncode == 0 and "good, 1 channel" in checked.stdout
    assert done.stdout == migrate(folder, config, arguments=arguments)["policy"]
    granted = migrate(folder, config, arguments=arguments)["granted"]
    cases = "".join(f"{'allow' if command in granted else 'deny'} {command}"
                    + (' {"path": "/etc/shadow", "mode": "w+"}' if command == "guest-file-open" else "") + "\n"
                    for command in COMMANDS)
    tested = ctl("policy", "test", "--policy", policy, write(folder / "cases", cases))
    assert tested.returncode == 0, tested.stdout


# The peer knows no allow lists; these come from what newer versions do.
ALLOW_CASES = [
    ("[general]\nallow-rpcs=guest-ping,guest-info\n", [], {"guest-ping", "guest-info"}),
    ("[general]\nallow-rpcs=guest-ping\n", ["-a", "guest-info", "--allow-rpcs=guest-sync"],
     {"guest-ping", "guest-info", "guest-sync"}),
    ("[general]\nallow-rpcs=guest-ping,guest-info\nblock-rpcs=guest-info\n", [], {"guest-ping"}),
    ("", ["-a", "guest-ping", "-b", "guest-ping"], set()),
    ("[general]\nallow-rpcs=guest-nonsense\n", [], set()),
    ("[general]\nallow-rpcs=,\n", [], set()),
    ("[general]\nallow-rpcs=guest-ping;guest-info\n", [], set()),
    ("[general]\nallow-rpcs=guest-ping, guest-info\n", [], {"guest-ping"}),
    ("[general]\nallow-rpcs=\n", [], set(COMMANDS)),
    ("", ["-a", "", "-a", "guest-ping"], {"guest-ping"}),
    ("", ["-a", RHEL], set(RHEL.split(",")) - {"guest-get-devices"}),
    ("", ["-a", "guest-file-read,guest-file-close"], {"guest-file-read", "guest-file-close"}),
    ("", ["-a", "guest-file-open,guest-exec"], {"guest-file-open", "guest-exec"}),
]


@pytest.mark.parametrize("config,arguments,granted", ALLOW_CASES)
def test_migrate_allow_lists(folder, config, arguments, granted):
    assert set(migrate(folder, config, arguments=arguments)["granted"]) == granted


def test_migrate_says_loudly_what_blocks_nothing(folder):
    said = warnings(migrate(folder, "[general]\nblock-rpcs=guest-exec;guest-fstrim, guest-ping,guest-nonsense\n"))
    assert any("is ONE name" in text and "blocks NONE of them" in text for text in said)
    assert any("' guest-ping' has a blank beside it" in text for text in said)
    assert any("'guest-nonsense' is no command" in text for text in said)
    assert any("does NOT refuse everything" in text for text in warnings(migrate(folder, "", arguments=["-a", ""])))
    assert any("serves every command" in text for text in warnings(migrate(folder)))


def test_migrate_says_where_each_line_comes_from(folder):
    made = migrate(folder, "[general]\npidfile=/x\n\nblock-rpcs=guest-exec\nfsfreeze-hook=/h\n[x]\ny=1\n")
    rows = {(row["where"].rpartition(":")[2], row["text"].split(":")[0]) for row in made["findings"]}
    assert rows >= {("2", "pidfile"), ("4", "block-rpcs"), ("5", "fsfreeze-hook"), ("7", "[x] y")}
    for row in made["findings"]:
        assert f"{row['where']}: {row['text']}" in made["policy"]
    assert "# Served here, and not by `use standard`:" in made["policy"]


def test_migrate_cleans_what_it_quotes(folder):
    made = migrate(folder, "[general]\nblock-rpcs=a\\nallow @exec,\x1b[31m\n")
    assert "\x1b" not in made["policy"] and "\nallow @exec" not in made["policy"]
    assert set(made["granted"]) == set(COMMANDS)


def test_migrate_quotes_text(folder):
    """What is no UTF-8 is told as '?', in JSON and in the policy."""
    made = migrate(folder, sysconfig=b"BLOCK_RPCS=guest-\xffexec\n", arguments=[b"\xfe\xff", "-b", b"g\xe4st"])
    assert any("'g?st' is no command" in text for text in warnings(made)) and "guest-?exec" in made["policy"]
    assert set(made["granted"]) == set(COMMANDS)


def test_migrate_many_findings(folder):
    made = migrate(folder, "[general]\nblock-rpcs=" + ",".join(f"x{i}" for i in range(5000)) + "\n")
    assert len(made["findings"]) == 200 and made["lost"] > 4800
    assert "of this kind" in made["policy"]


SYSCONFIGS = [
    (f'FILTER_RPC_ARGS="--allow-rpcs={RHEL}"\n', set(RHEL.split(",")) - {"guest-get-devices"}),
    (f'# FILTER_RPC_ARGS="--block-rpcs=guest-ping"\nFILTER_RPC_ARGS="--block-rpcs={RHEL_8}"\n',
     set(COMMANDS) - set(RHEL_8.split(","))),
    ('FILTER_RPC_ARGS=""\n', set(COMMANDS)),
    ("FILTER_RPC_ARGS=\n", set(COMMANDS)),
    (f"BLACKLIST_RPC={RHEL_8}\n", set(COMMANDS) - set(RHEL_8.split(","))),
    (f"BLOCK_RPCS='{RHEL_8}'\n", set(COMMANDS) - set(RHEL_8.split(","))),
    ('BLOCK_RPCS="guest-exec"\nBLOCK_RPCS="guest-fstrim"\n', set(COMMANDS) - {"guest-fstrim"}),
    ('BLOCK_RPCS="guest-"exec\n', set(COMMANDS) - {"guest-exec"}),
    ('BLOCK_RPCS="guest-exec,\\\nguest-fstrim"\n', set(COMMANDS) - {"guest-exec", "guest-fstrim"}),
    ('BLOCK_RPCS="guest-exec, guest-fstrim"\n', set(COMMANDS) - {"guest-exec"}),
    ('DAEMON_ARGS="-v -b guest-exec --block-rpcs=guest-fstrim"\n', set(COMMANDS) - {"guest-exec", "guest-fstrim"}),
    ('FILTER_RPC_ARGS="--allow-rpcs=guest-ping --block-rpcs=guest-ping"\n', set()),
    ('export QEMU_GA_ARGS="-a guest-ping"\n', {"guest-ping"}),
    ("  FSFREEZE_HOOK_ENABLE=1\nTRANSPORT_METHOD=\"virtio-serial\"\n; c\nFSFREEZE_HOOK_LOGFILE=$X\n", set(COMMANDS)),
    ("BLOCK_RPCS=guest-exec\r\n", set(COMMANDS) - {"guest-exec"}),
]


@pytest.mark.parametrize("text,granted", SYSCONFIGS)
def test_migrate_sysconfig(folder, text, granted):
    assert set(migrate(folder, sysconfig=text)["granted"]) == granted


def test_migrate_executes_nothing(folder):
    for value in (f'"$(touch {folder}/ran)"', f"`touch {folder}/ran`", f"x; touch {folder}/ran", f'"`touch {folder}/ran`"'):
        for name in ("BLOCK_RPCS", "FILTER_RPC_ARGS", "OTHER"):
            ctl("policy", "migrate", "--sysconfig", write(folder / "s", f"{name}={value}\n"))
    assert not (folder / "ran").exists()


def test_migrate_all_sources_add_up(folder):
    made = migrate(folder, "[general]\nblock-rpcs=guest-exec\n", "BLOCK_RPCS=guest-fstrim\n", ["-b", "guest-shutdown"])
    assert set(made["withheld"]) == {"guest-exec", "guest-fstrim", "guest-shutdown"}


def test_migrate_finds_the_configuration_that_the_arguments_name(folder):
    conf = write(folder / "other", "[general]\nblock-rpcs=guest-exec\n")
    done = ctl("policy", "migrate", "--json", "--", "-c", conf)
    assert json.loads(done.stdout)["withheld"] == ["guest-exec"]
    made = migrate(folder, "[general]\nblock-rpcs=guest-fstrim\n", arguments=["-c", conf])
    assert made["withheld"] == ["guest-fstrim"] and any("not read" in text for text in warnings(made))


@pytest.mark.parametrize("config,words", [
    ("block-rpcs=a\n", "conf:1:1: qemu-ga does not start with this file"),
    ("[general]\nblock-rpcs\n", "conf:2:1: qemu-ga does not start with this file"),
    ("[general]\nblock-rpcs=a\\,b\n", "conf:2:13: qemu-ga does not start with this file"),
    ("[general]\nverbose=yes\n", "conf:2:9: qemu-ga does not start with this file"),
    ("[general\n", "conf:1:1: "),
    (b"[general]\nblock-rpcs=a\0b\n", "conf:2:13: "),
    (b"[general]\nblock-rpcs=a\xff\n", "conf:2:12: "),
])
def test_migrate_refuses_what_qemu_ga_refuses(folder, config, words):
    done = migrate(folder, config, status=1)
    assert words in done.stderr and done.stdout == ""


@pytest.mark.parametrize("text,words", [
    ("BLOCK_RPCS=$LIST\n", "sysconfig:1: the value of BLOCK_RPCS has a character in it that means something"),
    ('BLOCK_RPCS="$LIST"\n', "sysconfig:1: the value of BLOCK_RPCS has a $"),
    ("DAEMON_ARGS=-v -b guest-exec\n", "sysconfig:1: the value of DAEMON_ARGS has a blank in it"),
    ("DAEMON_ARGS=\"-b 'guest-exec'\"\n", "sysconfig:1: DAEMON_ARGS has quotes within its quotes"),
    ("\nwhat is this\n", "sysconfig:2: this is no NAME=VALUE"),
    ('BLOCK_RPCS="guest-exec\n', "sysconfig:1: this is no NAME=VALUE, or its quotes do not close"),
    ("2X=1\n", "sysconfig:1: this is no NAME=VALUE"),
    ('FILTER_RPC_ARGS="--nonsense"\n', "qemu-ga does not start: it has no option --nonsense"),
    ('FILTER_RPC_ARGS="' + "x " * 65 + '"\n', "more than 64 words"),
    ("X" * 65537, "cannot be read: File too large"),
])
def test_migrate_refuses_what_it_cannot_tell(folder, text, words):
    done = migrate(folder, sysconfig=text, status=1)
    assert words in done.stderr and done.stdout == ""


@pytest.mark.parametrize("arguments,words", [
    (["--nonsense"], "it has no option --nonsense"),
    (["-b"], "-b needs a value"),
    (["-b", "help"], "prints a list and ends"),
    (["--allow-rpcs=?"], "prints a list and ends"),
    (["-D"], "with --dump-conf qemu-ga prints something and ends"),
    (["-v", "--version"], "with --version qemu-ga prints something and ends"),
    (["-x"], "it has no option -x"),
])
def test_migrate_arguments_with_which_nothing_is_served(folder, arguments, words):
    done = migrate(folder, arguments=arguments, status=1)
    assert words in done.stderr and done.stdout == ""


def test_migrate_usage(folder):
    done = ctl("policy", "migrate", "guest-exec")
    assert done.returncode == 2 and "qemu-ga's arguments stand behind --" in done.stderr
    done = ctl("policy", "migrate", "--config", folder / "none")
    assert done.returncode == 1 and "cannot be read: No such file" in done.stderr


def test_profile_rhel_is_what_rhel_ships(folder):
    made = migrate(folder, sysconfig=f'FILTER_RPC_ARGS="--allow-rpcs={RHEL}"\n')
    policy = write(folder / "policy", made["policy"])
    assert ctl("policy", "diff", policy, "rhel").stdout == "same\n"
    assert ctl("policy", "diff", "rhel", policy).stdout == "same\n"


def test_profile_open_is_what_qemu_ga_does(folder):
    policy = write(folder / "policy", migrate(folder)["policy"])
    assert ctl("policy", "diff", policy, "open").stdout == "same\n"


# Policies compared. Each: OLD, NEW, the last line, words of the answer.
HEAD = "policy 1\ncommands 49\n"
LOGS = 'rule logs: allow @file-read {\n path beneath "/var/log"\n}\n'
WWW = 'rule www: allow @file-write {\n path beneath "/srv"\n user root\n max-size 1M\n}\n'
NET = 'rule net: allow @net { interfaces "eth*" }\n'
ICE = 'rule ice: allow @freeze, @trim {\n mount beneath "/data"\n exclude beneath "/data/no"\n required is "/data/db"\n}\n'
DIFFS = [
    ("allow @sync\n", "allow @sync\n", "same", []),
    ("allow @sync, @info\n", "allow @info\nallow @sync\n", "same", []),
    ("allow @sync\n", "allow @sync, @hotplug\n", "wider", ["main: + guest-set-vcpus is granted now, by rule /", "guest-set-memory-blocks"]),
    ("allow @sync, @hotplug\n", "allow @sync\n", "narrower", ["main: - guest-set-vcpus is not granted any more"]),
    ("allow @sync, @hotplug\n", "allow @sync, @trim\n", "wider", ["- guest-set-vcpus ", "+ guest-fstrim"]),
    ("allow @hotplug\n", "allow @hotplug\ndeny guest-set-vcpus\n", "narrower", ["- guest-set-vcpus is not"]),
    ("", "", "same", []),
    ("", LOGS, "wider", ["+ guest-file-open is granted now", "+ guest-file-read"]),
    (LOGS, LOGS, "same", []),
    (LOGS, LOGS.replace("rule logs: ", ""), "same", []),
    (LOGS, LOGS.replace("/var/log", "/var/log/nginx"), "narrower",
     ['- rule logs', 'path beneath "/var/log/nginx"; it was: path beneath "/var/log"', "guest-file-open: all in all, it does less"]),
    (LOGS, LOGS.replace("/var/log", "/var"), "wider", ["guest-file-open: all in all, it does more"]),
    (LOGS, LOGS.replace("/var/log", "/var/logs"), "wider", ["~ guest-file-open: all in all, its rules differ; this counts as wider"]),
    (LOGS, LOGS.replace("beneath", "is"), "narrower", []),
    (LOGS, LOGS.replace('beneath "/var/log"', 'glob "/var/log/*.log"'), "narrower", []),
    (LOGS, LOGS.replace('beneath "/var/log"', 'glob "/var/*/x"'), "wider", ["counts as wider"]),
    (LOGS, LOGS.replace('beneath "/var/log"', 'glob "/var/lo*"'), "wider", ["counts as wider"]),
    (LOGS.replace('beneath "/var/log"', 'glob "/var/log/*.log"'), LOGS.replace('beneath "/var/log"', 'is "/var/log/a.log"'),
     "narrower", []),
    (LOGS, LOGS.replace('path beneath "/var/log"', "verbs read"), "wider", []),
    (LOGS, LOGS + 'rule more: allow @file-read {\n path is "/var/log/x"\n}\n', "same", ["+ rule more"]),
    (LOGS, LOGS + 'rule more: allow @file-read {\n path is "/etc/x"\n}\n', "wider", ["+ rule more", "guest-file-open: all in all, it does more"]),
    (LOGS + 'rule more: allow @file-read {\n path is "/etc/x"\n}\n', LOGS, "narrower", ["- rule more", "is gone"]),
    (LOGS, LOGS + 'deny @file-read {\n path glob "/var/log/*.key"\n}\n', "narrower", ["denies guest-file-open, is new"]),
    (LOGS + 'deny @file-read {\n path glob "/var/log/*.key"\n}\n', LOGS, "wider", ["denies guest-file-open, is gone"]),
    (LOGS + 'rule d: deny @file-read {\n path is "/var/log/a"\n}\n',
     LOGS + 'rule d: deny @file-read {\n path beneath "/var/log/a"\n}\n', "narrower", ["- rule d"]),
    (LOGS + "deny @file-read except logs\n", LOGS, "wider", ["guest-file-open: all in all, it does more"]),
    (LOGS + "deny @file-read except logs\n", LOGS.replace("/var/log", "/var/log/x") + "deny @file-read except logs\n", "wider",
     ["- rule logs", "counts as wider"]),
    (LOGS + "deny @file-read except logs\n", LOGS + "deny @file-read except logs\n", "same", []),
    (WWW, WWW.replace("1M", "2M"), "wider", ["+ rule www", "max-size 2097152; it was: max-size 1048576"]),
    (WWW, WWW.replace("1M", "512K"), "narrower", ["- rule www"]),
    (WWW, WWW.replace(" max-size 1M\n", ""), "wider", ["max-size", "the default"]),
    (WWW, WWW.replace("user root", "user root\n symlinks trusted"), "wider", ["symlinks trusted"]),
    (WWW, WWW.replace("user root", "user root\n types any"), "wider", ["types any"]),
    (WWW, WWW.replace("user root", "user root\n create-mode 0640"), "wider", ["create-mode 0640"]),
    (WWW, WWW.replace("user root", "user root\n create-mode 0400"), "narrower", []),
    (WWW, WWW.replace("user root", "user root\n create-mode 0440"), "wider", ["counts as wider"]),
    (WWW, WWW.replace("user root", "user daemon"), "wider", ["user daemon; it was: user root", "counts as wider"]),
    (WWW.replace(" max-size 1M\n", ""), WWW.replace("max-size 1M", "verbs create"), "narrower", ["verbs create; it was: verbs write create"]),
    (WWW, WWW.replace("1M", "2M").replace("/srv", "/srv/x"), "wider", ["~ rule www", "counts as wider"]),
    (NET, NET, "same", []),
    (NET, NET.replace('"eth*"', '"eth0"'), "narrower", ['interfaces "eth0"; it was: interfaces "eth*"', "get-route: all in all, it does less"]),
    (NET.replace('"eth*"', '"eth0"'), NET, "wider", ["network-get-interfaces: all in all, it does more"]),
    (NET, NET.replace('"eth*"', '"en*"'), "wider", ["counts as wider"]),
    (NET, NET.replace('"eth*"', '"eth*" "en*"'), "wider", ["+ rule net"]),
    (NET, "allow @net\n", "wider", ["+ rule"]),
    ("allow @net\n", NET, "narrower", ["it does less"]),
    ("allow @net\n", 'allow @net\nrule d: deny @net { interfaces "docker*" }\n', "narrower", ["denies guest-network-get-interfaces, is new"]),
    ('allow @net\nrule d: deny @net { interfaces "docker*" }\n', 'allow @net\nrule d: deny @net { interfaces "docker0" }\n', "wider", ["+ rule d"]),
    ('allow @net\nrule d: deny @net { interfaces "docker*" }\n', "allow @net\ndeny @net\n", "narrower", ["- guest-network-get-route is not"]),
    ('allow guest-get-users { users "a*" }\n', 'allow guest-get-users { users "ab" }\n', "narrower", ["guest-get-users: all in all, it does less"]),
    (ICE, ICE, "same", []),
    (ICE, ICE.replace("rule ice: ", ""), "same", []),
    (ICE, ICE.replace('beneath "/data"', 'beneath "/data/db"'), "narrower",
     ['- rule ice', 'mount beneath "/data/db"; it was: mount beneath "/data"', "guest-fstrim: all in all, it does less"]),
    (ICE, ICE.replace('beneath "/data"\n', '{ beneath "/data" }\n').replace("{ beneath", "beneath {"), "same", []),
    (ICE, ICE.replace('beneath "/data"\n', 'beneath { "/data", "/srv" }\n'), "wider", ["+ rule ice", "guest-fsfreeze-freeze: all in all, it does more"]),
    (ICE, ICE.replace(' mount beneath "/data"\n', ""), "wider", ["the default; it was: mount beneath"]),
    (ICE, ICE.replace('"/data"', '"/srv"'), "wider", ["~ rule ice", "counts as wider"]),
    (ICE, ICE.replace(' exclude beneath "/data/no"\n', ""), "wider", ["+ rule ice", 'the default; it was: exclude beneath "/data/no"']),
    (ICE, ICE.replace('beneath "/data/no"', 'is "/data/no"'), "wider", ['exclude is "/data/no"; it was: exclude beneath']),
    (ICE, ICE.replace('beneath "/data/no"', 'beneath { "/data/no", "/data/x" }'), "narrower", ["- rule ice", "it does less"]),
    (ICE, ICE.replace('beneath "/data/no"', 'beneath { "/data/no", "/srv" }'), "same", []),
    (ICE.replace(' exclude beneath "/data/no"\n', ""), ICE, "narrower", []),
    (ICE, ICE.replace(' required is "/data/db"\n', ""), "wider",
     ["+ rule ice", 'the default; it was: required is "/data/db"', "+ guest-fsfreeze-freeze: all in all, it does more"]),
    (ICE.replace(' required is "/data/db"\n', ""), ICE, "narrower", ['): required is "/data/db"; it was: the default', "- guest-fsfreeze-freeze-list: all in all, it does less"]),
    (ICE, ICE.replace('required is "/data/db"', 'required is { "/data/db", "/data/a" }'), "narrower", []),
    (ICE, ICE.replace('required is "/data/db"', 'required is { "/data/db", "/srv" }'), "same", []),
    (ICE, ICE.replace('required is "/data/db"', 'required beneath "/data"'), "narrower", []),
    (ICE, ICE.replace('required is "/data/db"', 'required is "/data/a"'), "wider", ["counts as wider"]),
    (ICE, ICE + 'allow @freeze, @trim { mount is "/data/x" }\n', "same", []),
    (ICE, ICE + 'allow @freeze { mount is "/data/no" }\n', "wider", ["which allows guest-fsfreeze-freeze, is new"]),
    (ICE, ICE + 'allow @freeze { mount is "/data/x"\n required is "/data/x" }\n', "narrower", []),
    (ICE, ICE + 'deny @trim { mount is "/data/x" }\n', "narrower", ["- guest-fstrim: all in all, it does less"]),
    (ICE + 'deny @trim { mount is "/data/x" }\n', ICE, "wider", ["+ guest-fstrim: all in all, it does more"]),
    (ICE + "deny @freeze except ice { mount is \"/data/x\" }\n", ICE, "wider", []),
    (ICE, "allow @freeze, @trim\n", "wider", []),
    ("allow @freeze, @trim\n", ICE, "narrower", []),
    ("allow @freeze\n", 'allow @freeze\nallow @freeze { required is "/db" }\n', "narrower", []),
    ('allow @freeze\nallow @freeze { required is "/db" }\n', "allow @freeze\n", "wider", ["guest-fsfreeze-freeze: all in all, it does more"]),
    ('allow @freeze\nrule r: allow @freeze { required is "/db" }\ndeny @freeze except r { mount is "/x" }\n',
     'allow @freeze\nrule r: allow @freeze\ndeny @freeze except r { mount is "/x" }\n', "wider", []),
    ("set freeze-timeout 5m\n", "", "wider", ["+ freeze-timeout is 600s; it was 300s"]),
    ("", "set freeze-timeout 0\n", "wider", []),
    ("set freeze-timeout 0\n", "", "narrower", []),
    ("", "set freeze-expired silent\n", "wider", ["~ freeze-expired is silent; it was error"]),
    ("", "set freeze-on-restart hold\n", "wider", ["+ freeze-on-restart is hold; it was thaw"]),
    ("set freeze-on-restart hold\n", "", "narrower", []),
    ("", "set nvme-smart yes\n", "wider", ["+ nvme-smart is yes; it was no"]),
    ("set nvme-smart yes\n", "", "narrower", []),
    ("set hook-timeout 2m\n", "", "narrower", ["- hook-timeout is 60s; it was 120s"]),
    ("set handle-idle 5m\n", "set handle-idle 6m\n", "wider", ["+ handle-idle is 360s; it was 300s"]),
    ("set handle-idle 5m\n", "set handle-idle 0\n", "wider", ["handle-idle is 0s"]),
    ("set handle-idle 0\n", "set handle-idle 366d\n", "narrower", []),
    ("set explain-to-client yes\n", "", "narrower", ["explain-to-client is no; it was yes"]),
    ("", "set audit-failure continue\n", "wider", ["audit-failure is continue; it was deny"]),
    ("set fence-net required\n", "", "wider", ["fence-net is preferred; it was required"]),
    ("set fence-net off\n", "", "narrower", ["fence-net is preferred; it was off"]),
    ("channel a virtio:x\nallow @sync\n", "channel b virtio:x\nallow @sync\n", "wider",
     ["a: - the channel is gone: opened by virtio:x, 4 commands granted", "b: + the channel is new"]),
    ("channel a virtio:x\nallow @sync\n", "channel a virtio:y\nallow @sync\n", "wider", ["a: ~ opened by virtio:y, and not by virtio:x"]),
    ("channel a virtio:x\nallow @sync\n", "channel a virtio:x only @info\nallow @sync\n", "narrower", ["a: - guest-ping"]),
    ("allow @sync\n", "channel main\nchannel local\nallow @sync on main, local\n", "same", []),
    ("allow @sync\n", "channel main\nchannel local\nallow @sync on main\n", "narrower", ["local: - guest-ping"]),
    ("allow @sync\n", "channel main\nchannel a virtio:x\nallow @sync on main\n", "wider",
     ["a: + the channel is new: opened by virtio:x, 0 commands", "local: - the channel is gone: opened by the agent itself"]),
    ("channel main\nchannel local\nallow @sync on main\n", "allow @sync\n", "wider", ["local: + guest-ping"]),
    ("channel main virtio:x\nallow @sync\n", "allow @sync\n", "wider", ["main: ~ opened by the command line", "local: + the channel is new"]),
]


@pytest.mark.parametrize("number", range(len(DIFFS)))
def test_diff(folder, number):
    old, new, result, words = DIFFS[number]
    names = write(folder / "old", HEAD + old), write(folder / "new", HEAD + new)
    done = ctl("policy", "diff", *names)
    assert done.stdout.splitlines()[-1:] == [result], done.stdout + done.stderr
    assert done.returncode == (1 if result == "wider" else 0)
    for word in words:
        assert word in done.stdout, done.stdout
    made = json.loads(ctl("policy", "diff", "--json", *names).stdout)
    assert made["result"] == result and len(made["changes"]) == len(done.stdout.splitlines()) - 1


def test_diff_of_profiles():
    for name in ("backup", "cloud", "fallback", "inventory", "open", "rhel", "standard"):
        assert ctl("policy", "diff", name, name).stdout == "same\n"
        assert ctl("policy", "diff", "open", name).stdout.splitlines()[-1] == ("same" if name == "open" else "narrower")
    assert ctl("policy", "diff", "standard", "cloud").returncode == 1
    assert ctl("policy", "diff", "cloud", "standard").returncode == 0


def test_diff_errors(folder):
    for words in (["standard", folder / "none"], [write(folder / "bad", "polic 1\n"), "standard"],
                  ["--running", "standard", "--state-dir", folder], ["standard"], [], ["a", "b", "c"]):
        done = ctl("policy", "diff", *words)
        assert done.returncode == 2 and done.stderr and not done.stdout, (words, done)


def test_diff_with_the_running_policy(folder, start):
    text = HEAD + "allow @sync\n" + LOGS
    agent = start(text)
    agent.write_policy(HEAD + "allow @sync, @hotplug\n" + LOGS)  # the file has changed since
    def diff(*words):
        return agent.ctl("policy", "diff", "--state-dir", agent.folder, *words, check=False)
    assert diff("--running", agent.policy).stdout.splitlines()[-1] == "wider"
    assert diff(agent.policy, "--running").stdout.splitlines()[-1] == "narrower"
    assert diff("--running", write(folder / "same", text)).stdout == "same\n"
    assert diff("--running", "--running").stdout == "same\n"
    (agent.folder / "bulkhead" / "policy.last").unlink()
    assert diff("--running", agent.policy).returncode == 2
    built_in = start("cloud")
    assert built_in.ctl("policy", "diff", "--state-dir", built_in.folder, "cloud", "--running").stdout == "same\n"


def test_check_warns_of_what_equals_root(folder):
    def lines(*words):
        done = ctl("policy", "check", *words)
        assert done.returncode == 0, done.stderr
        return [line for line in done.stdout.splitlines() if "equal to root" in line]

    assert "sets the password of every account, adds SSH keys to every account" in lines("rhel")[0]
    assert len(lines("open")) == 3 and "writes every file" in lines("open")[1] and "runs every program" in lines("open")[2]
    for name in ("standard", "cloud", "backup", "inventory", "fallback"):
        assert lines(name) == []
    text = HEAD + "channel main\nchannel local\nchannel b virtio:b\nallow @password on local\nallow @password on b\nallow @password on main\n" \
        "deny @password on main\n"
    policy = write(folder / "policy", text)
    assert len(lines(policy)) == 1 and f"{policy}:7: " in lines(policy)[0] and "channel 'b'" in lines(policy)[0]
    assert lines("--channel", "main", policy) == [] and lines("--channel", "local", policy) == []
    assert len(lines("--channel", "b", policy)) == 1
    assert lines(write(folder / "limited", HEAD + WWW)) == []


def test_local_has_the_rules_of_main(folder):
    policy = write(folder / "policy", HEAD + "rule x: allow @sync\n")
    request = '{"execute": "guest-ping"}'
    done = ctl("policy", "explain", "--channel", "local", "--policy", policy, request)
    assert done.returncode == 0 and "guest-ping on channel local" in done.stdout and "rule x" in done.stdout
    (folder / "cases").write_text("allow guest-ping on local rule x\nallow guest-ping on main rule x\ndeny guest-exec on local\n")
    assert ctl("policy", "test", "--policy", policy, folder / "cases").returncode == 0
    assert ctl("policy", "test", "--policy", policy, "--channel", "local", folder / "cases").returncode == 0
    assert ctl("policy", "check", "--channel", "local", policy).returncode == 0
    shown = {name: ctl("policy", "show", "--channel", name, policy).stdout for name in ("main", "local")}
    assert shown["local"] == shown["main"].replace("channel main", "channel local")
    assert ctl("policy", "show", "--channel", "local", "standard").stdout.count("channel local") == 1


@pytest.mark.parametrize("words", [["explain", "--policy"], ["show"], ["check"]])
def test_local_is_not_there_where_channels_are_opened(folder, words):
    policy = write(folder / "policy", HEAD + "channel a virtio:x\nallow @sync\n")
    request = ['{"execute": "guest-ping"}'] if words[0] == "explain" else []
    done = ctl("policy", words[0], "--channel", "local", *words[1:], policy, *request)
    assert done.returncode == 2 and "opens no channel local" in done.stderr


def test_show_says_how_each_channel_is_opened(folder):
    lines = ["channel main", "channel local", "channel a virtio:org.qemu.guest_agent.0", "channel b isa-serial:/dev/ttyS1",
             "channel c vsock-listen:4294967295:1234", "channel d unix-listen:/run/d.sock only guest-ping"]
    policy = write(folder / "policy", HEAD + "\n".join(lines) + "\nallow @sync on main, local, a, b, c, d\n")
    shown = ctl("policy", "show", policy).stdout
    assert [line for line in shown.splitlines() if line.startswith("channel")] == lines
    for line in lines:
        one = ctl("policy", "show", "--channel", line.split()[1], policy).stdout
        again = ctl("policy", "show", write(folder / "again", one)).stdout
        assert line in again and again == one


def status_file(folder, *channels):
    (folder / "bulkhead").mkdir(exist_ok=True)
    rows = [{"name": name, "method": method, "path": path} for name, method, path in channels]
    (folder / "bulkhead" / "status.json").write_text(json.dumps({"pid": 4194304, "channels": rows}))
    return ["--state-dir", folder]


MAIN, PORT = ("main", "unix-listen", "/nowhere/main"), ("port", "virtio", "org.qemu.guest_agent.0")
LOCAL, OTHER = ("local", "unix-listen", "/nowhere/local"), ("other", "unix-listen", "/nowhere/other")


@pytest.mark.parametrize("channels,wanted,words", [
    ([MAIN, LOCAL], None, "nobody listens on /nowhere/local"),
    ([MAIN, LOCAL], "main", "nobody listens on /nowhere/main"),
    ([MAIN], None, "nobody listens on /nowhere/main"),
    ([("local", "local", "/nowhere/l"), PORT], None, "nobody listens on /nowhere/l"),
    ([MAIN, OTHER], None, "several channels: choose one with --channel; there are: main, other"),
    ([MAIN, PORT], None, "there are: main, port"),
    ([MAIN, OTHER], "x", "no channel x; there are: main, other"),
    ([PORT, LOCAL], "port", "no unix socket but virtio:org.qemu.guest_agent.0, which its host has at the other end; use --channel local"),
    ([PORT], None, "let the policy open `channel local`"),
    ([], None, "names no channel"),
])
@pytest.mark.parametrize("command", [["call", "guest-ping"], ["read", "/x"], ["write", "/x"]])
def test_which_channel_is_used(folder, channels, wanted, words, command):
    where = status_file(folder, *channels)
    done = ctl(*command, *where, *(["--channel", wanted] if wanted else []), input="")
    assert done.returncode == 3 and words in done.stderr, done.stderr
