"""bulkheadctl without an agent: made logs are verified and shown, policies are judged, and errors are sentences.

The chain is computed here a second time, from its description, with hashlib and hmac.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import socket
import subprocess
import threading

import pytest

from harness import BUILD, ROOT

class Log:
    """An audit folder, written as the agent writes one."""

    def __init__(self, folder):
        self.folder, self.number, self.size, self.mac = folder, 0, 0, bytes(32)
        folder.mkdir(mode=0o700)
        self.path = None

    def run(self):
        """The agent starts: a fresh key, a new segment."""
        self.key = hashlib.sha256(b"key of run %d" % self.number).digest()
        self.steps = 0
        with open(self.folder / "keys", "a") as file:
            file.write(f"{self.number + 1} {self.key.hex()}\n")
        return self.segment()

    def segment(self):
        previous, size = self.number, self.size
        self.number += 1
        self.path, self.size = self.folder / f"audit-{self.number:06d}.log", 0
        self.line({"time": "2026-01-01T00:00:00.000000Z", "src": "audit", "kind": "segment", "format": 1,
                   "segment": self.number, "previous": previous, "previous-size": size,
                   "previous-mac": self.mac.hex(), "steps": self.steps, "started": "2026-01-01T00:00:00.000000Z"})
        return self

    def line(self, record):
        body = json.dumps(record, separators=(",", ":"))[:-1].encode()
        self.mac = hmac.new(self.key, self.mac + body, hashlib.sha256).digest()
        self.key = hashlib.sha256(b"bulkhead next key" + self.key).digest()
        self.steps += 1
        self.raw(body + b',"mac":"' + self.mac.hex().encode() + b'"}\n')

    def raw(self, data):
        with open(self.path, "ab") as file:
            file.write(data)
        self.size += len(data)

    def records(self, count, **members):
        for n in range(count):
            self.line({"n": 256 * (n + 1) + 18, "time": f"2026-01-02T00:00:{n % 60:02d}.000000Z", "src": "main/fs",
                       "kind": "act", "cmd": "guest-file-open", "obj": f"/tmp/{n}", **members})
        return self


def ctl(*arguments, **more):
    return subprocess.run([BUILD / "bulkheadctl", *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          **more)


def verify(log, *more):
    return ctl("audit", "verify", "--dir", log.folder, *more)


@pytest.fixture
def log(folder):
    """Two runs; the first with two segments: audit-000001 to audit-000003."""
    log = Log(folder / "audit")
    log.run().records(10)
    log.segment().records(10)
    log.run().records(10)
    return log


def segment(log, number):
    return log.folder / f"audit-{number:06d}.log"


def edit(path, change):
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def assert_finding(log, *words):
    done = verify(log)
    assert done.returncode == 1, done.stdout
    for word in words:
        assert word in done.stdout, done.stdout
    return done.stdout


def test_good_log(log):
    done = verify(log)
    assert (done.returncode, done.stdout) == (0, "30 records in 3 segments verified\n")


def test_changed_byte(log):
    edit(segment(log, 2), lambda lines: lines.__setitem__(4, lines[4].replace(b"/tmp/3", b"/tmp/4")))
    text = assert_finding(log, "audit-000002.log, line 5: its mac is wrong")
    assert "audit-000001" not in text


def test_every_changed_byte_of_a_line_is_found(log):
    whole = segment(log, 3).read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for at in range(start, len(whole), 7):
        segment(log, 3).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        assert verify(log).returncode == 1, at


def test_deleted_line(log):
    edit(segment(log, 1), lambda lines: lines.__delitem__(3))
    assert_finding(log, "audit-000001.log, line 4: its mac is wrong",
                   "audit-000002.log, line 1: the segment before it had")


def test_swapped_lines(log):
    edit(segment(log, 3), lambda lines: lines.__setitem__(slice(2, 4), [lines[3], lines[2]]))
    assert_finding(log, "audit-000003.log, line 3: its mac is wrong")


def test_added_line(log):
    edit(segment(log, 3), lambda lines: lines.insert(2, lines[1]))
    assert_finding(log, "audit-000003.log, line 3: its mac is wrong")


def test_deleted_header(log):
    edit(segment(log, 2), lambda lines: lines.__delitem__(0))
    assert_finding(log, "audit-000002.log, line 1: this is not the first line of a segment")


@pytest.mark.parametrize("number", [1, 2])
def test_truncated_segment_within_and_at_the_end_of_a_run(log, number):
    edit(segment(log, number), lambda lines: lines.__delitem__(slice(-2, None)))
    assert_finding(log, f"audit-{number + 1:06d}.log, line 1: the segment before it had")


def test_missing_segment(log):
    segment(log, 2).unlink()
    text = assert_finding(log, "audit-000003.log: the segment 2 before it is missing")
    assert "line" not in text.splitlines()[0]


def test_segment_under_another_name(log):
    segment(log, 3).rename(segment(log, 4))
    assert_finding(log, "it is segment 3 under another name", "is missing")


def test_oldest_segments_may_be_gone(log):
    segment(log, 1).unlink()
    done = verify(log)
    assert done.returncode == 0 and "20 records in 2 segments verified" in done.stdout
    assert "note: audit-000002.log: it is the oldest segment; 1 before it have been deleted" in done.stdout


def test_half_a_line_at_the_end(log):
    log.raw(b'{"n":5,"ti')
    done = verify(log)
    assert done.returncode == 1
    assert "line 12: the last 10 bytes are half a line" in done.stdout
    assert "all before that is good: 30 records" in done.stdout


def test_half_a_line_that_the_next_run_counted(log):
    log.raw(b'{"n":5,"ti')
    log.run().records(2)
    done = verify(log)
    assert done.returncode == 0, done.stdout
    assert "note: audit-000003.log, line 12: the last 10 bytes are half a line" in done.stdout
    assert "32 records in 4 segments verified" in done.stdout


def test_run_that_ended_before_its_first_line(log):
    log.run()
    log.path.write_bytes(b"")
    log.size, log.mac = 0, bytes(32)
    log.run().records(1)
    done = verify(log)
    assert done.returncode == 0, done.stdout
    assert "note: audit-000004.log: it is empty" in done.stdout


def test_other_key(log, folder):
    (folder / "other").write_text("1 " + "ab" * 32 + "\n")
    done = verify(log, "--key", folder / "other")
    assert done.returncode == 1 and "audit-000001.log, line 1: its mac is wrong" in done.stdout


def test_key_kept_elsewhere(log, folder):
    (folder / "kept").write_text((log.folder / "keys").read_text())
    (log.folder / "keys").unlink()
    assert verify(log, "--key", folder / "kept").returncode == 0
    done = verify(log)
    assert done.returncode == 1 and "keys cannot be read: No such file or directory" in done.stderr


def test_torn_key_is_passed_over(log):
    keys = (log.folder / "keys").read_text()
    (log.folder / "keys").write_text("9 abcdef\n" + keys)
    assert verify(log).returncode == 0


def test_verify_for_programs(log):
    edit(segment(log, 2), lambda lines: lines.__delitem__(4))
    done = verify(log, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["segments"] == 3 and report["problems"][0]["file"] == "audit-000002.log"
    assert report["problems"][0]["line"] == 5


def show(log, *more):
    done = ctl("audit", "show", "--dir", log.folder, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_show_filters(folder):
    log = Log(folder / "audit").run().records(3)
    log.records(2, kind="refused", src="main/front", cmd="guest-exec", code="BH1201")
    log.records(1, time="2026-01-03T00:00:00.000000Z")
    rows = [json.loads(line) for line in show(log, "--json").splitlines()]
    assert len(rows) == 7 and rows[0]["kind"] == "segment"
    assert len(show(log, "--kind", "refused").splitlines()) == 2
    assert len(show(log, "--source", "main/fs").splitlines()) == 4
    assert len(show(log, "--command", "guest-exec").splitlines()) == 2
    assert len(show(log, "--since", "2026-01-02T12:00").splitlines()) == 1
    assert "BH1201" in show(log, "--kind", "refused", "-n", "1")
    assert [json.loads(line)["obj"] for line in show(log, "-n", "2", "--json").splitlines()] == ["/tmp/1", "/tmp/0"]
    assert show(log, "-n", "1000") == show(log)


def test_show_all_of_one_act(folder):
    log = Log(folder / "audit").run().records(3, cmd="guest-exec")
    log.line({"n": 4114, "time": "2026-01-02T00:00:05.000000Z", "src": "main/exec", "kind": "result", "of": 530})
    log.segment()
    log.line({"n": 4115, "time": "2026-01-02T00:00:06.000000Z", "src": "main/spool", "kind": "event", "of": 530, "text": "done"})
    log.line({"n": 4116, "time": "2026-01-02T00:00:07.000000Z", "src": "main/spool", "kind": "event", "of": 5300})
    rows = [json.loads(line) for line in show(log, "--of", "530", "--json").splitlines()]
    assert [(row["n"], row["kind"]) for row in rows] == [(530, "act"), (4114, "result"), (4115, "event")]
    assert len(show(log, "--of", "530", "--kind", "act").splitlines()) == 1
    assert show(log, "--of", "18446744073709551615") == ""


def test_show_does_not_speak_to_the_terminal(folder):
    log = Log(folder / "audit").run()
    log.records(1, obj="a\x1b[31m\n\u009b\u202eb\udcff")
    text = show(log, "--kind", "act")
    assert text.count("\n") == 1
    assert not set(text) & set("\x1b\u009b\u202e")


@pytest.mark.parametrize("arguments, words", [
    (["audit", "show", "--since", "yesterday"], "--since takes"),
    (["audit", "show", "-n", "0"], "-n takes"),
    (["audit", "show", "--of", "0"], "--of takes the number of a record"),
    (["audit", "show", "--nonsense"], "there is no option --nonsense"),
    (["audit", "verify", "--key"], "--key needs a value"),
    (["call"], "it takes a COMMAND, such as guest-ping"),
    (["call", "guest-sync", "id=x"], "id takes an integer, and 'x' is none"),
    (["call", "guest-sync", "nr=1"], "guest-sync has no argument nr"),
    (["call", "guest-sync", "id=1", "id=2"], "id is given twice"),
    (["call", "guest-sync", "{"], "the arguments are not a JSON object"),
    (["call", "guest-nonsense", "a=b"], "there is no such command"),
    (["call", "--timeout", "0", "guest-ping"], "--timeout takes seconds"),
    (["policy", "explain", "{}"], "the request names no command"),
    (["policy", "explain", "--policy", "open", '{"execute": "guest-nonsense"}'], "there is no command guest-nonsense"),
    (["policy", "explain", "--policy", "open", "guest-nonsense"], "there is no command guest-nonsense"),
    (["policy", "explain", "--policy", "open", "guest-sync", "nr=1"], "guest-sync has no argument nr"),
    (["policy", "explain", "{}", "guest-sync"], "it takes one REQUEST"),
    (["nonsense"], "there is no command nonsense"),
    (["--state-dir"], "--state-dir is no option that stands before a command, or lacks what belongs behind it"),
])
def test_usage_errors(arguments, words):
    done = ctl(*arguments)
    assert done.returncode == 2 and words in done.stderr, done.stderr


def test_nothing_to_talk_to(folder):
    done = ctl("call", "-s", folder / "none", "guest-ping")
    assert done.returncode == 3 and "nobody listens on" in done.stderr
    for words in (["status"], ["reload"], ["restart"], ["call", "guest-ping"]):
        done = ctl(*words, "--state-dir", folder)
        assert done.returncode == 3 and f"no agent has run with the state folder {folder}; name" in done.stderr
    done = ctl("audit", "show", "--dir", folder / "none")
    assert done.returncode == 1 and "name it with --dir, or the agent's -t folder with --state-dir" in done.stderr
    done = ctl("policy", "check", "stendard")
    assert done.returncode == 1 and "stendard is neither a shipped profile nor a file in this folder" in done.stderr


@pytest.mark.parametrize("words", [["status"], ["restart"], ["call"], ["exec"], ["read"], ["write"], ["audit", "show"], ["audit", "verify"],
                                   ["policy", "check"], ["policy", "explain"], ["policy", "test"], ["policy", "show"]])
def test_help(words):
    done = ctl(*words, "--help")
    assert done.returncode == 0 and done.stdout.startswith("Usage: bulkheadctl " + " ".join(words))


@pytest.mark.parametrize("path", sorted((ROOT / "policy" / "profiles").glob("*.cases")), ids=lambda path: path.stem)
def test_cases_of_shipped_profiles(path):
    done = ctl("policy", "test", "--policy", path.stem, path)
    assert done.returncode == 0 and " 0 failed" in done.stdout, done.stdout + done.stderr


def test_cases_that_do_not_hold(folder):
    (folder / "cases").write_text("# three wrong, one right\nallow guest-exec\ndeny guest-ping\n"
                                  "allow guest-ping rule other\ndeny guest-exec\nwhat\n")
    done = ctl("policy", "test", "--policy", "standard", folder / "cases")
    assert done.returncode == 1 and "1 case passed, 4 failed" in done.stdout
    for line in (2, 3, 4, 6):
        assert f"{folder}/cases:{line}: " in done.stdout
    done = ctl("policy", "test", "--json", "--policy", "standard", folder / "cases")
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and (answer["passed"], answer["failed"]) == (1, 4)
    assert [row["line"] for row in answer["failures"]] == [2, 3, 4, 6]
    assert answer["failures"][0]["text"] == "expected allow, but the policy says deny"


def test_check_for_programs(folder):
    done = ctl("policy", "check", "--json", "open")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["good"] and answer["channels"] == 1
    assert [row["level"] for row in answer["findings"]] == ["warning"] * 3
    assert answer["findings"][2]["at"].startswith("profile:open:") and "runs every program" in answer["findings"][2]["text"]
    (folder / "policy").write_text("policy 1\ncommands 49\nallow guest-pong\nallow @frob\n")
    done = ctl("policy", "check", "--json", folder / "policy")
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and not answer["good"] and answer["channels"] == 0
    assert [(row["level"], row["at"]) for row in answer["findings"]] == \
        [("error", f"{folder}/policy:3:7"), ("error", f"{folder}/policy:4:7")]
    assert answer["findings"][0]["text"].startswith("there is no command 'guest-pong'")


def test_show_for_programs(folder):
    (folder / "policy").write_text("policy 1\ncommands 49\nchannel a unix-listen:/run/a.sock\nchannel b unix-listen:/run/b.sock\n"
                                   "use backup on a\nuse inventory on b\n")
    rows = json.loads(ctl("policy", "show", "--json", folder / "policy").stdout)
    assert [row["channel"] for row in rows] == ["a", "b"]
    for row in rows:
        assert row["text"] == ctl("policy", "show", "--channel", row["channel"], folder / "policy").stdout


def test_show_says_that_nothing_matches(folder):
    log = Log(folder / "audit").run()
    done = ctl("audit", "show", "--dir", log.folder, "--kind", "refuse")
    assert done.returncode == 0 and not done.stdout and f"No record in {log.folder} matches." in done.stderr
    assert not ctl("audit", "show", "--dir", log.folder, "--kind", "segment").stderr


def test_explain():
    done = ctl("policy", "explain", "--policy", "standard", '{"execute": "guest-exec"}')
    assert done.returncode == 1 and "no rule of this channel grants the command (BH1201)" in done.stdout
    done = ctl("policy", "explain", "--policy", "open", "--json",
               '{"execute": "guest-file-open", "arguments": {"path": "/x", "mode": "wb"}}')
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["verdict"] == "allow" and answer["rule"] == "open-files"
    assert any(row["matched"] for row in answer["tried"])


LISTING = """policy 1
use standard
rule bridges: deny @net {
    interfaces "docker*" "br-*"
}
"""


def test_explain_says_what_a_rule_hides(folder):
    (folder / "policy").write_text(LISTING)
    explain = ["policy", "explain", "--policy", folder / "policy"]
    request = '{"execute": "guest-network-get-interfaces"}'
    done = ctl(*explain, request)
    assert done.returncode == 0 and 'it hides "docker*" "br-*"' in done.stdout and "refuses nothing" in done.stdout
    done = ctl(*explain, "--object", "docker0", request)
    assert done.returncode == 1 and "to see docker0" in done.stdout and "denied by rule bridges (BH1203)" in done.stdout
    done = ctl(*explain, "--object", "eth0", "--json", request)
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["rule"] == "standard"
    assert [row.get("names") for row in answer["tried"]] == [None, ["docker*", "br-*"]]
    done = ctl(*explain, "--object", "eth0", '{"execute": "guest-ping"}')
    assert done.returncode == 2 and "guest-ping lists nothing" in done.stderr


MOUNTS = """policy 1
commands 49
rule data: allow @freeze, @trim {
    mount beneath { "/data", "/srv" }
    exclude beneath "/data/scratch"
    required is "/data/db"
}
rule no: deny @freeze { mount glob "/srv/*" }
"""


def test_explain_judges_a_mount(folder):
    (folder / "policy").write_text(MOUNTS)
    explain = ["policy", "explain", "--policy", folder / "policy", "--object"]
    done = ctl(*explain, "/data/db", "guest-fsfreeze-freeze")
    assert done.returncode == 0 and "on the mount /data/db:" in done.stdout and "It must be frozen" in done.stdout
    assert 'it covers: beneath "/srv"' in done.stdout and 'it strikes: glob "/srv/*"' in done.stdout
    done = ctl(*explain, "/data/db", "guest-fstrim")
    assert done.returncode == 0 and "It must be frozen" not in done.stdout
    done = ctl(*explain, "/data/scratch/x", "guest-fsfreeze-freeze-list")
    assert done.returncode == 1 and "it excludes this mount" in done.stdout and "(BH1202)" in done.stdout
    answer = json.loads(ctl(*explain, "/srv/a", "--json", "guest-fsfreeze-freeze").stdout)
    assert (answer["verdict"], answer["rule"], answer["required"]) == ("deny", "no", False)
    assert [row["mounts"] for row in answer["tried"]] == [["beneath /data", "beneath /srv"], ["glob /srv/*"]]
    assert answer["tried"][0]["excluded"] == ["beneath /data/scratch"] and "excluded" not in answer["tried"][1]
    assert json.loads(ctl(*explain, "/data/db", "--json", "guest-fsfreeze-freeze").stdout)["required"] is True
    done = ctl("policy", "explain", "--policy", folder / "policy", "guest-fsfreeze-freeze")
    assert done.returncode == 0 and "it strikes some mounts and refuses nothing" in done.stdout
    for odd in ["data", "/data/", "/data/../x"]:
        done = ctl(*explain, odd, "guest-fstrim")
        assert done.returncode == 2 and "is no mount point" in done.stderr
    done = ctl(*explain, "/data", "guest-fsfreeze-thaw")
    assert done.returncode == 2 and "guest-fsfreeze-thaw lists nothing, and acts on nothing" in done.stderr


def test_explain_judges_the_mount_of_a_record(folder):
    (folder / "policy").write_text(MOUNTS)
    log = Log(folder / "audit").run().records(2, src="main/storage", cmd="guest-fsfreeze-freeze", obj="/srv/a")
    done = ctl("policy", "explain", "--policy", folder / "policy", "--dir", log.folder, "--record", 256 + 18)
    assert done.returncode == 1 and "on the mount /srv/a" in done.stdout and "denied by rule no" in done.stdout


def test_cases_about_mounts(folder):
    (folder / "policy").write_text(MOUNTS)
    (folder / "cases").write_text("allow guest-fsfreeze-freeze\n"
                                  "allow guest-fsfreeze-freeze object /data rule data\n"
                                  "deny guest-fsfreeze-freeze object /\n"
                                  "deny guest-fsfreeze-freeze-list {\"mountpoints\": []} object /srv/a rule no\n"
                                  "allow guest-fstrim object /srv/a rule data\n")
    done = ctl("policy", "test", "--policy", folder / "policy", folder / "cases")
    assert done.returncode == 0 and "5 cases passed, 0 failed" in done.stdout
    (folder / "cases").write_text("allow guest-fsfreeze-freeze object /\nallow guest-fstrim object data\n"
                                  "allow guest-fsfreeze-thaw object /data\n")
    done = ctl("policy", "test", "--policy", folder / "policy", folder / "cases")
    assert done.returncode == 1 and "0 cases passed, 3 failed" in done.stdout


def test_explain_says_what_is_not_served():
    schema = json.loads((ROOT / "protocol" / "schema.json").read_text())
    for name, served in [("guest-exec", schema["workers"]["exec"]["built"]), ("guest-get-load", True)]:
        done = ctl("policy", "explain", "--policy", "open", name)
        assert done.returncode == 0 and ("This version does not serve" in done.stdout) is not served
        assert json.loads(ctl("policy", "explain", "--json", "--policy", "open", name).stdout)["served"] is served


def test_cases_about_what_is_listed(folder):
    (folder / "policy").write_text(LISTING)
    (folder / "cases").write_text("allow guest-network-get-interfaces object eth0 rule standard\n"
                                  "deny guest-network-get-route object br-1 rule bridges\n"
                                  "allow guest-network-get-route\n")
    done = ctl("policy", "test", "--policy", folder / "policy", folder / "cases")
    assert done.returncode == 0 and "3 cases passed, 0 failed" in done.stdout
    (folder / "cases").write_text("allow guest-network-get-route object br-1\nallow guest-ping object x\n")
    done = ctl("policy", "test", "--policy", folder / "policy", folder / "cases")
    assert done.returncode == 1 and "0 cases passed, 2 failed" in done.stdout


def test_explain_record(folder):
    log = Log(folder / "audit").run().records(1, src="main/fs", obj="/etc/hostname")
    done = ctl("policy", "explain", "--policy", "standard", "--dir", log.folder, "--record", 256 + 18)
    assert done.returncode == 1 and "/etc/hostname" in done.stdout and "refused" in done.stdout
    done = ctl("policy", "explain", "--policy", "standard", "--dir", log.folder, "--record", 1)
    assert done.returncode == 1 and "there is no record 1" in done.stderr


POLICY = 'policy 1\nuse standard\nrule logs: allow @file-read {\n    path beneath "/var/log"\n}\n'


def test_check_good_policy(folder):
    (folder / "policy").write_text(POLICY)
    done = ctl("policy", "check", folder / "policy")
    assert done.returncode == 0 and f"{folder}/policy: good, 1 channel" in done.stdout


def test_check_names_file_line_and_column(folder):
    (folder / "policy").write_text(POLICY + "rule x: alow @info\n")
    done = ctl("policy", "check", folder / "policy")
    assert done.returncode == 1 and f"{folder}/policy:6:9:" in done.stdout, done.stdout


def test_drop_ins_are_read(folder):
    (folder / "policy").write_text(POLICY)
    (folder / "policy.d").mkdir(mode=0o755)
    drop_in = 'policy 1\nrule old: deny @file-read {\n    path is "/var/log/old"\n}\n'
    (folder / "policy.d" / "a.policy").write_text(drop_in)
    (folder / "policy.d" / "ignored").write_text("nonsense")
    request = '{"execute": "guest-file-open", "arguments": {"path": "/var/log/%s"}}'
    done = ctl("policy", "explain", "--policy", folder / "policy", request % "old")
    assert done.returncode == 1 and "denied by rule old (BH1203)" in done.stdout
    done = ctl("policy", "explain", "--policy", folder / "policy", request % "new")
    assert done.returncode == 0 and "allowed by rule logs" in done.stdout


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_policy_that_others_may_write_is_refused(folder, mode):
    (folder / "policy").write_text(POLICY)
    (folder / "policy").chmod(mode)
    done = ctl("policy", "check", folder / "policy")
    assert done.returncode == 1 and "may be written to by others" in done.stderr


@pytest.mark.parametrize("size, good", [(256 * 1024 - 1, True), (256 * 1024, True), (256 * 1024 + 1, False)])
def test_size_of_a_policy_file(folder, size, good):
    lines = "# padding\n" * ((size - len(POLICY)) // 10)
    text = POLICY + lines
    (folder / "policy").write_text(text + "#" * (size - len(text) - 1) + "\n")
    assert (folder / "policy").stat().st_size == size
    done = ctl("policy", "check", folder / "policy")
    assert (done.returncode == 0) == good, done.stdout + done.stderr
    assert good or "is larger than 262144 bytes" in done.stderr


def test_shown_policy_compiles_again(folder):
    text = ctl("policy", "show", "standard").stdout
    (folder / "policy").write_text(text)
    done = ctl("policy", "check", folder / "policy")
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def fake_agent(folder, answer):
    """A socket that answers sync and, for anything else, what answer(request) returns (bytes, or None: hang up)."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "sock"))
    server.listen(1)

    def serve():
        client, _ = server.accept()
        with client, client.makefile("rb") as lines:
            client.sendall(b'{"return": "left by another"}\n')
            for line in lines:
                request = json.loads(line.lstrip(b"\xff"))
                if request["execute"].startswith("guest-sync"):
                    mark = b"\xff" if request["execute"].endswith("delimited") else b""
                    reply = mark + b'{"return": %d}\n' % request["arguments"]["id"]
                else:
                    reply = answer(request)
                if reply is None:
                    return
                with contextlib.suppress(OSError):
                    client.sendall(reply)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield folder / "sock"
    server.close()
    thread.join(5)


def test_call(folder):
    seen = []

    def answer(request):
        seen.append(request)
        return b'{"return": {"a": 18446744073709551615}}\n'

    with fake_agent(folder, answer) as path:
        done = ctl("call", "-s", path, "--json", "guest-file-seek", "handle=7", "offset=-1", "whence=end")
    assert (done.returncode, done.stdout) == (0, '{"a": 18446744073709551615}\n'), done.stderr
    assert seen == [{"execute": "guest-file-seek", "arguments": {"handle": 7, "offset": -1, "whence": "end"}}]


def test_call_with_a_list(folder):
    seen = []

    def answer(request):
        seen.append(request["arguments"])
        return b'{"return": {}}\n'

    with fake_agent(folder, answer) as path:
        done = ctl("call", "-s", path, "guest-exec", "path=/bin/x", "arg=a", "arg=1", "capture-output=true")
    assert done.returncode == 0, done.stderr
    assert seen == [{"path": "/bin/x", "arg": ["a", "1"], "capture-output": True}]


def test_call_that_fails(folder):
    error = b'{"error": {"class": "GenericError", "desc": "no\\u001b[1m (BH1202, record 5)"}}\n'
    with fake_agent(folder, lambda request: error) as path:
        done = ctl("call", "-s", path, "guest-ping")
    assert done.returncode == 1 and done.stderr == "bulkheadctl: GenericError: no?[1m (BH1202, record 5)\n"


@pytest.mark.parametrize("reply, status", [
    (b"", 0), (None, 0), (b'{"error": {"class": "GenericError", "desc": "no"}}\n', 1),
])
def test_command_whose_success_is_silent(folder, reply, status):
    with fake_agent(folder, lambda request: reply) as path:
        assert ctl("call", "-s", path, "guest-shutdown").returncode == status


def test_no_answer_in_time(folder):
    with fake_agent(folder, lambda request: b"") as path:
        done = ctl("call", "-s", path, "--timeout", "1", "guest-ping")
    assert done.returncode == 3 and "no answer within 1 s" in done.stderr


def test_agent_that_hangs_up(folder):
    with fake_agent(folder, lambda request: None) as path:
        done = ctl("call", "-s", path, "guest-ping")
    assert done.returncode == 3 and "closed the connection" in done.stderr


def test_output_to_a_file(folder):
    data = bytes(range(256)) * 10
    reply = b'{"return": {"buf-b64": "' + base64.b64encode(data) + b'", "count": 2560, "eof": false}}\n'
    with fake_agent(folder, lambda request: reply) as path:
        done = ctl("call", "-s", path, "--output", folder / "out", "guest-file-read", "handle=1")
    assert done.returncode == 0 and (folder / "out").read_bytes() == data


class Files:
    """Answers the file commands, a few bytes at a time."""

    def __init__(self, data=b"", most=100000):
        self.data, self.most, self.at, self.closed = data, most, 0, False

    def __call__(self, request):
        name, arguments = request["execute"], request["arguments"]
        if name == "guest-file-open":
            self.mode, value = arguments["mode"], 1000
        elif name == "guest-file-read":
            piece = self.data[self.at:self.at + min(self.most, arguments["count"])]
            self.at += len(piece)
            value = {"buf-b64": base64.b64encode(piece).decode(), "count": len(piece), "eof": not piece}
        elif name == "guest-file-write":
            piece = base64.b64decode(arguments["buf-b64"], validate=True)
            self.data += piece
            value = {"count": min(len(piece), self.most), "eof": False}
        else:
            self.closed, value = True, {}
        return json.dumps({"return": value}).encode() + b"\n"


def raw_ctl(*arguments, data=b""):
    return subprocess.run([BUILD / "bulkheadctl", *map(str, arguments)], capture_output=True, timeout=60, input=data)


@pytest.mark.parametrize("size", [0, 1, 99999, 100000, 100001, 1234567])
def test_read_a_file(folder, size):
    data = hashlib.shake_128(b"x").digest(size)
    files = Files(data)
    with fake_agent(folder, files) as path:
        done = raw_ctl("read", "-s", path, "/x")
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout == data
    assert files.closed and files.mode == "r"


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3000000])
def test_write_a_file(folder, size):
    data = hashlib.shake_128(b"y").digest(size)
    files = Files(most=2**20)
    with fake_agent(folder, files) as path:
        done = raw_ctl("write", "-s", path, "/x", data=data)
    assert done.returncode == 0 and files.data == data and files.closed and files.mode == "w"


def test_short_write_is_an_error(folder):
    files = Files(most=10)
    with fake_agent(folder, files) as path:
        done = raw_ctl("write", "--append", "-s", path, "/x", data=b"x" * 11)
    assert done.returncode == 1 and b"only 10 of 11 bytes were written" in done.stderr
    assert files.closed and files.mode == "a"


def test_status_of_an_agent_that_has_ended(folder):
    (folder / "bulkhead").mkdir()
    status = {"generation": 1, "pid": 4194304, "version": "0.1.0", "level": "10.2.0", "started": "2026-01-01T00:00:00Z",
              "policy": {"source": "open", "digest": "ab" * 32, "state": "built-in", "message": ""},
              "missing": ["a view"], "audit": {"dir": "/x", "segment": 3},
              "channels": [{"name": "main", "method": "unix-listen", "path": "/x/sock", "requests": 5, "denials": 1,
                            "failures": 0, "handles": 0, "executions": 31, "results": 17}],
              "processes": [{"name": "bulkhead-fs", "role": "fs", "label": "main/fs", "channel": "main", "pid": 4194304, "restarts": 2,
                             "fences": ["uid"], "missing": ["view"]}]}
    (folder / "bulkhead" / "status.json").write_text(json.dumps(status))
    done = ctl("status", "--state-dir", folder)
    assert done.returncode == 3 and "NOT RUNNING" in done.stdout
    assert "main/fs" in done.stdout and "MISSING: view" in done.stdout and "unix-listen:/x/sock" in done.stdout
    assert " 31      17  unix-listen" in done.stdout
    done = ctl("--json", "--state-dir", folder, "status")
    assert done.returncode == 3 and json.loads(done.stdout)["alive"] is False
