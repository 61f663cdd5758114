"""What bulkheadctl policy says of rules for guest-exec: explained, tried against cases, compared, warned of."""

import json

import pytest

from test_ctl_offline import Log
from test_ctl_policy import HEAD, ctl, migrate, write

RESTART = """rule restart: allow guest-exec {
    program "/usr/bin/systemctl"
    args "restart" { "nginx.service", glob "app-*.service" } int 1..5
    env "LANG"
    user root
    sandbox plain
    timeout 60s
    output 64K
    memory 64M
    cpu 50%
    rate 6/min
    concurrent 2
}
"""
ANY = 'rule any: allow guest-exec {\n    program any\n    rest any dash-ok\n    env any\n    stdin yes\n    search yes\n    user root\n    sandbox none\n    timeout 0\n}\n'
LOOK = 'rule look: allow guest-exec {\n    program "/usr/bin/df"\n    rest { "-h", beneath "/srv" }\n    socket "/run/a" "/run/b"\n}\n'


def request(path, *words, **more):
    return json.dumps({"execute": "guest-exec", "arguments": {"path": path, "arg": list(words), **more}})


@pytest.mark.parametrize("asked,why", [
    (request("/usr/bin/systemctl", "restart", "nginx.service", "3"), None),
    (request("/usr/bin/systemctl", "restart", "app-x.service", "5"), None),
    (request("/usr/bin/systemctl", "restart", "nginx.service"), "there are fewer arguments than it names"),
    (request("/usr/bin/systemctl", "restart", "nginx.service", "3", "now"), "there are more arguments than it allows"),
    (request("/usr/bin/systemctl", "stop", "nginx.service", "3"), "argument 1 is not among those it allows"),
    (request("/usr/bin/systemctl", "restart", "app-a/b.service", "3"), "argument 2 is not among those it allows"),
    (request("/usr/bin/systemctl", "restart", "nginx.service", "03"), "argument 3 is not among those it allows"),
    (request("/usr/bin/systemctl", "restart", "nginx.service", "6"), "argument 3 is not among those it allows"),
    (request("/bin/systemctl", "restart", "nginx.service", "3"), "no program of it matches"),
    (request("systemctl", "restart", "nginx.service", "3"), "it does not look for a name without a slash"),
    (request("/usr/../usr/bin/systemctl", "restart", "nginx.service", "3"), "no program of it has this name, and what the name leads to is not known"),
    (request("/usr/bin/systemctl", "restart", "nginx.service", "3", env=["LANG=C"]), None),
    (request("/usr/bin/systemctl", "restart", "nginx.service", "3", env=["LANG=C", "TZ=x"]), "variable 2 is not among those it allows"),
    (request("/usr/bin/systemctl", "restart", "nginx.service", "3", env=["LD_PRELOAD=/x"]), "variable 1 may never be set"),
    (request("/usr/bin/systemctl", "restart", "nginx.service", "3", env=["LANG"]), "variable 1 is not of the form NAME=value"),
    (request("/usr/bin/systemctl", "restart", "nginx.service", "3", **{"input-data": ""}), "it takes no input"),
])
def test_explain(folder, asked, why):
    policy = write(folder / "policy", HEAD + RESTART)
    done = ctl("policy", "explain", "--policy", policy, asked)
    assert done.returncode == (1 if why else 0), done
    assert f"allow rule restart ({policy}:3): {why or 'it matches'}\n" in done.stdout
    row = json.loads(ctl("policy", "explain", "--json", "--policy", policy, asked).stdout)
    assert row["tried"][0]["why"] == (why or "it matches") and row["verdict"] == ("deny" if why else "allow")


def test_explain_what_a_name_leads_to(folder):
    policy = write(folder / "policy", HEAD + RESTART + 'rule no: deny guest-exec { program "/opt/x" }\n')
    words = ["policy", "explain", "--policy", policy, "--object"]
    asked = request("/bin/systemctl", "restart", "nginx.service", "3")
    done = ctl(*words, "/usr/bin/systemctl", asked)
    assert done.returncode == 0 and ", of a program that is /usr/bin/systemctl:" in done.stdout
    asked = request("/usr/bin/systemctl", "restart", "nginx.service", "3")
    assert "denied by rule no" in ctl(*words, "/opt/x", asked).stdout
    done = ctl("policy", "explain", "--policy", policy, "guest-exec", "path=/usr/bin/systemctl", "arg=restart")
    assert done.returncode == 1 and "fewer arguments" in done.stdout


@pytest.mark.parametrize("text,status,note", [
    ('sandbox minimal, sha256 unknown, argv ["df","-h","/srv/\\"x"]', 0, False),
    ('sandbox minimal, sha256 unknown, argv ["df","-i"]', 1, False),
    ('sandbox minimal, sha256 unknown, argv ["df"]', 0, False),
    ('sandbox minimal, sha256 unknown, argv ["df","-h', 0, True),
    ("denied by policy", 0, True),
])
def test_explain_judges_the_arguments_of_a_record(folder, text, status, note):
    policy = write(folder / "policy", HEAD + LOOK)
    log = Log(folder / "audit").run().records(1, src="main/exec", cmd="guest-exec", obj="/usr/bin/df", text=text)
    done = ctl("policy", "explain", "--policy", policy, "--dir", log.folder, "--record", 256 + 18)
    assert done.returncode == status and ("does not hold the arguments" in done.stderr) == note, done


def test_an_extension_needs_both(folder):
    asked = json.dumps({"execute": "bulkhead-exec", "arguments": {"path": "/usr/bin/df", "arg": ["-h"]}})
    for text, status, says in [(LOOK, 1, "no rule of this channel grants the command"), ("allow @extension\n", 1, "grants the command"),
                               (LOOK + "allow @extension\n", 0, "allowed by rule look")]:
        done = ctl("policy", "explain", "--policy", write(folder / "policy", HEAD + text), asked)
        assert done.returncode == status and says in done.stdout, done
    asked = asked.replace('"-h"', '"-i"')
    assert ctl("policy", "explain", "--policy", folder / "policy", asked).returncode == 1


def test_cases(folder):
    policy = write(folder / "policy", HEAD + RESTART + LOOK)
    cases = write(folder / "cases", 'allow guest-exec {"path": "/usr/bin/df", "arg": ["-h", "/srv/x"]} rule look\n'
                  'deny guest-exec {"path": "/usr/bin/df", "arg": ["/srv/../etc"]}\n'
                  'allow guest-exec {"path": "/bin/df"} object /usr/bin/df rule look\n'
                  'deny guest-exec {"path": "/bin/df"}\nallow guest-exec-status {"pid": 2}\n')
    done = ctl("policy", "test", "--policy", policy, cases)
    assert done.stdout == "5 cases passed, 0 failed\n", done.stdout


DIFFS = [
    (RESTART, RESTART, "same", []),
    ("", RESTART, "wider", ["+ guest-exec is granted now", "+ guest-exec-status is granted now"]),
    (RESTART, ANY, "wider", []),
    (RESTART, RESTART.replace('"restart"', '{ "restart", "stop" }'), "wider",
     ["+ rule restart", 'args { "restart", "stop" }', "guest-exec: all in all, it does more"]),
    (RESTART, RESTART.replace('"nginx.service", ', ""), "narrower", ["- rule restart", "it does less"]),
    (RESTART, RESTART.replace("app-*", "app-a"), "narrower", []),
    (RESTART, RESTART.replace("int 1..5", "int 0..5"), "wider", []),
    (RESTART, RESTART.replace("int 1..5", '"3"'), "narrower", []),
    (RESTART, RESTART.replace("int 1..5", "any"), "wider", ["+ rule restart"]),
    (RESTART.replace("int 1..5", "any"), RESTART.replace("int 1..5", "any dash-ok"), "wider", ["+ rule restart"]),
    (RESTART, RESTART.replace("int 1..5\n", "int 1..5\n    rest any\n"), "wider", ["rest any; it was: the default"]),
    (RESTART, RESTART.replace(" int 1..5", ""), "wider", ["~ rule restart", "counts as wider"]),
    (RESTART, RESTART.replace('"/usr/bin/systemctl"', '"/usr/bin/systemctl" "/bin/x"'), "wider", []),
    (RESTART, RESTART.replace('"/usr/bin/systemctl"', "any"), "wider", ["program any"]),
    (RESTART, RESTART.replace('"LANG"', '"LANG" "TZ"'), "wider", []),
    (RESTART, RESTART.replace('    env "LANG"\n', ""), "narrower", ["env"]),
    (RESTART, RESTART.replace('env "LANG"', "env any"), "wider", []),
    (RESTART, RESTART.replace("user root", "user daemon"), "wider", ["user daemon; it was: user root", "counts as wider"]),
    (RESTART, RESTART.replace("user root", "user root\n    groups adm"), "wider", ["counts as wider"]),
    (RESTART, RESTART.replace("plain", "none"), "wider", ["+ rule restart", "sandbox none; it was: sandbox plain"]),
    (RESTART, RESTART.replace("plain", "diag"), "narrower", ["sandbox diag"]),
    (RESTART, RESTART.replace("sandbox plain", "sandbox plain\n    net none"), "narrower", ["net none; it was: the default"]),
    (RESTART, RESTART.replace("sandbox plain", "sandbox plain\n    stdin yes"), "wider", []),
    (RESTART, RESTART.replace("sandbox plain", "sandbox plain\n    search yes"), "wider", []),
    (RESTART, RESTART.replace("sandbox plain", 'sandbox plain\n    cwd "/srv"'), "wider", ["counts as wider"]),
    (RESTART, RESTART.replace("sandbox plain", 'sandbox plain\n    argv0 "x"'), "wider", ["counts as wider"]),
    (RESTART, RESTART.replace("sandbox plain", "sandbox plain\n    audit-output full"), "narrower", []),
    (RESTART, RESTART.replace("sandbox plain", f'sandbox plain\n    sha256 "{"0a" * 32}"'), "narrower", ["sha256"]),
    (RESTART, RESTART.replace("60s", "61s"), "wider", ["timeout 61s; it was: timeout 60s"]),
    (RESTART, RESTART.replace("60s", "0"), "wider", []),
    (RESTART, RESTART.replace("64K", "32K"), "narrower", []),
    (RESTART, RESTART.replace("64M", "65M"), "wider", []),
    (RESTART, RESTART.replace("    memory 64M\n", ""), "wider", []),
    (RESTART, RESTART.replace("cpu 50%", "cpu 1"), "wider", ["cpu 100%; it was: cpu 50%"]),
    (RESTART, RESTART.replace("6/min", "6/30s"), "wider", ["rate 6/30s; it was: rate 6/60s"]),
    (RESTART, RESTART.replace("6/min", "5/min"), "narrower", []),
    (RESTART, RESTART.replace("6/min", "5/s"), "wider", []),
    (RESTART, RESTART.replace("concurrent 2", "concurrent 3"), "wider", []),
    (RESTART, RESTART.replace("concurrent 2", "pids 5"), "wider", ["counts as wider"]),
    (RESTART, RESTART + 'deny guest-exec { program "/bin/x" }\n', "narrower", ["denies guest-exec, is new"]),
    (RESTART + 'rule d: deny guest-exec { program "/bin/x" "/bin/y" }\n', RESTART + 'rule d: deny guest-exec { program "/bin/x" }\n',
     "wider", ["+ rule d"]),
    (RESTART, RESTART + "deny guest-exec\n", "narrower", ["- guest-exec is not granted any more"]),
    (LOOK, LOOK.replace(' "/run/b"', ""), "narrower", []),
    (LOOK, LOOK.replace('    socket "/run/a" "/run/b"\n', "    user root\n    sandbox plain\n"), "wider", ["+ rule look"]),
    (LOOK, LOOK.replace('beneath "/srv"', 'beneath "/srv/x"'), "narrower", []),
    (LOOK, LOOK.replace('beneath "/srv"', 'glob "/srv/*"'), "wider", ["counts as wider"]),
    ("set on-restart keep\n", "", "narrower", ["- on-restart is kill; it was keep"]),
    ("", "set on-restart keep\n", "wider", []),
    ("", "set exec-idle 0\n", "wider", ["+ exec-idle is 0s; it was 600s"]),
    ("", "set exec-idle 5m\n", "narrower", []),
]


@pytest.mark.parametrize("number", range(len(DIFFS)))
def test_diff(folder, number):
    old, new, result, words = DIFFS[number]
    done = ctl("policy", "diff", write(folder / "old", HEAD + old), write(folder / "new", HEAD + new))
    assert done.stdout.splitlines()[-1:] == [result], done.stderr + done.stdout
    assert not [word for word in words if word not in done.stdout], done.stdout


WARNED = [
    ('program "/bin/sh"\n rest any\n user root\n sandbox none', ["runs programs as root without a sandbox", "equal to root without a sandbox"]),
    ('program "/bin/sh"\n rest any\n user daemon\n sandbox plain',
     ["runs /bin/sh with arguments that the client chooses, and these can make it run or write anything: whoever holds channel 'main' "
      "is equal to daemon, in the sandbox plain"]),
    ('program "/bin/sh"\n stdin yes', ["with the client's input, which it runs"]),
    ('program "/bin/sh"\n args "-c" "true"', []),
    ('program "/usr/bin/python3.11"\n args beneath "/srv"', ["runs /usr/bin/python3.11 with arguments"]),
    ('program "/usr/bin/find" "/usr/bin/uptime"\n args any', ["runs /usr/bin/find with arguments"]),
    ('program "/usr/bin/systemctl"\n args "edit" glob "*"', ["runs /usr/bin/systemctl"]),
    ('program "/usr/bin/systemctl"\n args "restart" "nginx"', []),
    ('program "/usr/bin/uptime"\n rest any', []),
    ('program "/bin/busybox"', ["which is many programs"]),
    ('program "/bin/busybox"\n args "date"', []),
    ('program "/usr/bin/x"\n socket "/run/systemd/private"', ["gives its program the socket /run/systemd/private: with what systemd does"]),
    ('program "/usr/bin/x"\n socket "/var/run/docker.sock" "/run/mine"', ["the socket /var/run/docker.sock"]),
    ('program "/usr/bin/x"\n socket "/run/mine"', []),
    ('program "/usr/bin/x"\n env "PATH"', ["lets the client set PATH"]),
    ('program "/srv/bin/x"', ["runs a program in /srv/bin, where the rule 'w' lets files be written"]),
    ('program "/opt/x"\n search yes', ["looks for programs in /usr/local/bin, where the rule 'v' lets"]),
    ('program any\n user daemon\n sandbox none', ["runs programs as daemon without a sandbox"]),
]
WRITERS = ('rule w: allow @file-write {\n path beneath "/srv"\n user root\n}\nrule v: allow @file-write {\n path glob "/usr/local/bin/*"\n'
           ' user root\n}\n')


@pytest.mark.parametrize("number", range(len(WARNED)))
def test_check_warns(folder, number):
    block, words = WARNED[number]
    policy = write(folder / "policy", HEAD + "rule x: allow guest-exec {\n " + block + "\n}\n" + WRITERS)
    done = ctl("policy", "check", policy)
    lines = [line for line in done.stdout.splitlines() if line.startswith("warning")]
    assert done.returncode == 0 and not [line for line in lines if f"{policy}:3: the rule 'x'" not in line], done
    assert len(lines) == len(words), done.stdout
    assert not [word for word in words if word not in done.stdout], done.stdout


def test_check_says_what_is_not_here(folder):
    policy = write(folder / "policy", HEAD + 'allow guest-exec {\n program "/x"\n user nobody-here\n groups nogroup-here\n}\n')
    done = ctl("policy", "check", policy)
    assert done.returncode == 0
    assert f"warning {policy}:5:7: there is no account 'nobody-here' here" in done.stdout
    assert f"warning {policy}:6:9: there is no group 'nogroup-here' here" in done.stdout
    done = ctl("policy", "explain", "--policy", policy, request("/x"))
    assert done.returncode == 1 and "its user does not exist" in done.stdout


def test_migrated_commands_are_told_apart(folder):
    """guest-exec without its status, and the other way round: each as qemu-ga has it."""
    for blocked, granted in [("guest-exec-status", "guest-exec"), ("guest-exec", "guest-exec-status")]:
        made = migrate(folder, arguments=["-b", blocked])
        assert granted in made["granted"] and made["withheld"] == [blocked]


def test_show_is_read_again(folder):
    policy = write(folder / "policy", HEAD + RESTART + LOOK + ANY.replace("any:", "all:").replace("program any", 'program "/q"'))
    shown = ctl("policy", "show", policy).stdout
    assert shown.count("\nallow guest-exec") + shown.count(": allow guest-exec") == 3
    assert ctl("policy", "show", write(folder / "shown", shown)).stdout == shown
