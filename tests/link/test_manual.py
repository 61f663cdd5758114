"""The manual names what the code has: settings and their words, classes and their commands, fences, profiles, exit
statuses, subcommands, limits, the version."""

import json
import re

import pytest

from tree import ROOT, text

MAN = ROOT / "broker/man"


def plain(page):
    """A page without its markup."""
    content = (MAN / page).read_text().replace("\\-", "-").replace("\\(dq", '"')
    content = re.sub(r"\\f[A-Z]", "", content)
    return re.sub(r'[ "]+', " ", content)


def settings():
    """(name, words) of each row of the table."""
    source = text("policy/lang/settings.c")
    lists = {name: re.findall(r'"([\w-]+)"', words)
             for name, words in re.findall(r"static const char \*const (\w+)\[\] = \{([^}]*)\}", source)}
    rows = re.findall(r"\{ \.name = (\"[\w-]+\"|FENCE_PREFIX),(.*?)\.doc", source, re.S)
    found = []
    for name, row in rows:
        words = re.search(r"\.words = (\w+)", row)
        found.append((name.strip('"').replace("FENCE_PREFIX", "fence-"), lists[words[1]] if words else []))
    return found


def test_the_table_is_read_right():
    assert ("types", ["regular", "any"]) in settings()
    assert len(settings()) == text("policy/lang/settings.c").count(".name =")


@pytest.mark.parametrize("name,words", settings(), ids=lambda value: value if isinstance(value, str) else "")
def test_setting_is_in_the_manual(name, words):
    page = plain("bulkhead-policy.5")
    entry = re.search(rf"^\.B[RI]* ?{re.escape(name)}\b.*$|^\.B[RI]* {re.escape(name)}.*$", page, re.M)
    assert entry, name
    assert not [word for word in words if not re.search(rf"\b{word}\b", entry[0])], entry[0]


def test_profiles_are_in_the_manual():
    page = plain("bulkhead-policy.5")
    names = [path.stem for path in (ROOT / "policy/profiles").glob("*.policy")]
    assert names and not [name for name in names if f"\n.TP\n.B {name}\n" not in page]


def test_classes_and_their_commands_are_in_the_manual():
    schema = json.loads(text("protocol/schema.json"))
    section = plain("bulkhead-policy.5").split("\n.SH CLASSES\n")[1].split("\n.ad b\n")[0]
    found = {name: re.findall(r"\b(?:guest-(?!info lists)|bulkhead-)[a-z-]+", body) for name, body in re.findall(r"\.TP\n\.B (@\S+)\n(.*?)(?=\n\.TP|$)", section, re.S)}
    meant = {name: [command for command, entry in schema["commands"].items() if name in entry["classes"]]
             for name in schema["classes"]}
    assert found == meant and len(found["@info"]) > 10


def test_words_for_a_channel_s_host_are_in_the_manual():
    words = set(re.findall(r'\[BH_CHANNEL_\w+\] = "(\w+)"', text("broker/supervisor/channel.c")))
    entry = plain("bulkheadctl.8").split("\n.B status\n")[1].split("\n.TP\n")[0]
    assert len(words) == 4
    assert not [word for word in words if not re.search(rf"\b{word}\b", entry)]


def test_what_a_freeze_is_promised():
    page = re.sub(r"\s+", " ", plain("bulkhead.8").split(".SH FREEZING")[1].split(".SH")[0])
    assert f"more than {number('workers/storage/guard_wire.h', 'BH_FREEZE_STALL_MS') // 1000} seconds" in page
    signals = re.sub(r"\s+", " ", plain("bulkhead.8").split(".SH SIGNALS")[1].split(".SH")[0])
    assert f"for {number('broker/supervisor/freeze.c', 'STOP_THAW_MS') // 1000} seconds at most" in signals
    schema = json.loads(text("protocol/schema.json"))
    assert not [name for name, row in schema["commands"].items() if "frozen-ok" in row.get("flags", []) and name not in page]


def test_what_the_hooks_are_promised():
    page = re.sub(r"\s+", " ", plain("bulkhead.8").split(".SH FREEZE HOOKS")[1].split(".SH")[0]).replace(" .B ", " ")
    assert f"There may be {number('workers/storage/hook_list.h', 'BH_HOOKS_MAX')} hooks" in page
    assert f"the first {number('workers/storage/hook_wire.h', 'BH_HOOK_OUTPUT_MAX')} bytes" in page
    assert f"at most {number('protocol/wire/record.h', 'BH_RECORD_TEXT_MAX')} bytes" in page
    assert f"Each has {number('protocol/wire/hook.h', 'BH_HOOK_TIMEOUT_MS') // 1000} seconds" in page
    variables = dict(re.findall(r'\(char \*\)"([A-Z]+)=([^"]+)"', text("workers/storage/hook.c")))
    assert len(variables) == 3
    assert not [name for name, value in variables.items() if name not in page or value not in page]
    assert re.search(r'BH_HOOK_DIR_DEFAULT "([^"]+)"', text("broker/places.h"))[1] in page


def test_what_executions_are_promised():
    page = re.sub(r"\s+", " ", plain("bulkhead.8").split("\n.SH EXECUTIONS")[1].split(".SH")[0])
    assert f"within {number('workers/exec/keeper.c', 'START_MS') // 1000} seconds" in page
    source = text("workers/exec/environment.c")
    assert re.search(r'PATH_DEFAULT "([^"]+)"', source)[1] in page
    names = re.findall(r'"([A-Z]+)=', source)
    assert len(names) == 6 and not [name for name in names if not re.search(rf"\b{name}\b", page)]
    for path in ("workers/exec/identity.c", "workers/exec/profile.c", "workers/spool/profile.c"):
        assert re.search(r'"(bulkhead-\w+)"', text(path))[1] in page


def test_what_records_keep_is_in_the_manual():
    page = plain("bulkhead.8").split("\n.SH AUDIT LOG")[1].split(".SH")[0]
    assert f"refused the first {number('protocol/wire/record.h', 'BH_REFUSED_PATH_MAX')} bytes" in page
    assert f"to say, at most {number('protocol/wire/record.h', 'BH_RECORD_TEXT_MAX')} bytes" in page


def test_programs_are_in_the_manual():
    page = plain("bulkhead.8").split("\n.SH DESCRIPTION")[1].split(".SH")[0]
    names = re.findall(r'\.program = "(bulkhead-\w+)"', "".join(path.read_text() for folder in ("broker", "policy", "workers")
                                                              for path in (ROOT / folder).rglob("*.c")))
    assert len(names) > 10 and not [name for name in names if not re.search(rf"\b{name}\b", page)]


def test_fences_are_in_the_manual():
    names = re.findall(r'return "([\w-]+)"', text("policy/fence.c"))
    page = plain("bulkhead-policy.5")
    assert len(names) == 12
    assert not [name for name in names if not re.search(rf"[ ,]{name}[,.]", page)]


def test_exit_statuses_are_in_the_manual():
    numbers = re.findall(r"CTL_\w+ = (\d+)", text("broker/ctl/ctl.h"))
    section = plain("bulkheadctl.8").split(".SH EXIT STATUS")[1].split(".SH")[0]
    assert numbers == re.findall(r"^\.B (\d+)$", section, re.M)


def test_subcommands_are_in_the_manual():
    page = plain("bulkheadctl.8")
    source = "".join(path.read_text() for path in (ROOT / "broker/ctl").glob("*.c"))
    names = set(re.findall(r'\.name = "([a-z ]+)",\s*\.summary', source)) - {"policy", "audit"}
    assert len(names) == 15
    assert not [name for name in names if not re.search(rf"^\.B.*\b{name}\b", page, re.M)]


@pytest.mark.parametrize("page", sorted(path.name for path in MAN.glob("*.[58]")))
def test_version_is_the_build_s(page):
    version = re.search(r"version: '([\d.]+)'", text("meson.build"))[1]
    assert f'"Bulkhead {version}"' in (MAN / page).read_text()


def number(path, name):
    """A constant of the code: digits and stars."""
    found = re.search(rf"#define {name}\b[\s\\]*\(?([\d *u]+)\)?", text(path))
    assert found, name
    return eval(found[1].replace("u", ""))


MIB, KIB = 1 << 20, 1 << 10
LIMITS = [
    ("protocol/json/lexer.h", "BH_TEXT_MAX", MIB, "{} MiB of one request"),
    ("protocol/json/lexer.h", "BH_DEPTH_MAX", 1, "{} levels of objects and arrays"),
    ("protocol/json/lexer.h", "BH_MEMBERS_MAX", 1, "{} members and elements"),
    ("protocol/json/lexer.h", "BH_LIFT_MAX", MIB, "{} MiB of base64 with its line breaks"),
    ("workers/lib/worker.h", "BH_WORKER_STAGE_MAX", MIB, "{} MiB in one write or read"),
    ("broker/front/transport.h", "BH_READ_AHEAD_MAX", KIB, "{} KiB are read ahead"),
    ("broker/front/front.h", "BH_OUT_HIGH", KIB, "while {} KiB of answers wait"),
    ("workers/spool/spool.h", "BH_SPOOL_EXECUTIONS_MAX", 1, "at most {} executions"),
    ("workers/spool/spool.h", "BH_SPOOL_KEPT_MAX", MIB, "{} MiB are kept in all"),
    ("workers/spool/spool.h", "BH_SPOOL_WAIT_MAX", KIB, "{} KiB of each stream wait"),
    ("workers/spool/spool.h", "BH_SPOOL_WAIT_MIN", KIB, "at least {} KiB whatever else is kept"),
    ("workers/spool/spool.h", "BH_SPOOL_RECORDED_MAX", KIB, "the first {} KiB of what one execution writes"),
    ("broker/front/front.h", "BH_START_MS", 1, "{} ms to be started"),
    ("broker/front/front.h", "BH_STAGE_MS", 1, "{} ms to take more of a write"),
]


@pytest.mark.parametrize("path,name,unit,sentence", LIMITS, ids=[row[1] for row in LIMITS])
def test_limits_are_in_the_manual(path, name, unit, sentence):
    page = re.sub(r"\s+", " ", plain("bulkhead.8").split(".SH LIMITS")[1].split(".SH")[0])
    assert sentence.format(number(path, name) // unit) in page


@pytest.mark.parametrize("setting,name,unit,sentence", [
    ("handle-idle", "BH_IDLE_MAX_S", 86400, "at most {}d"),
    ("freeze-timeout", "BH_FREEZE_TIMEOUT_MAX_S", 86400, "at most {}d"),
    ("hook-timeout", "BH_HOOK_TIMEOUT_MAX_S", 3600, "at most {}h"),
    ("exec-idle", "BH_IDLE_MAX_S", 86400, "at most {}d"),
    ("timeout", "BH_EXEC_TIMEOUT_MAX_S", 86400, "at most {}d"),
    ("output", "BH_EXEC_OUTPUT_MAX", 1 << 20, "at most {}M"),
    ("pids", "BH_EXEC_PIDS_INITIAL", 1, "default {} in"),
    ("pids", "BH_EXEC_PIDS_MAX", 1, "At most {}."),
    ("rate", "BH_RATES_MAX", 1, "At most {} rules of a channel"),
    ("concurrent", "BH_EXEC_CONCURRENT_MAX", 1, "at most {},")])
def test_bounds_of_settings_are_in_the_manual(setting, name, unit, sentence):
    page = re.sub(r"\s+", " ", plain("bulkhead-policy.5").split(f".BI {setting} ")[-1].split(".TP")[0])
    path = "protocol/wire/boot.h" if name == "BH_RATES_MAX" else "policy/blob.h"
    assert sentence.format(number(path, name) // unit) in page


def test_deadlines_are_in_the_reference():
    """Those that are no command's; each command's own is written by the generator."""
    page = re.sub(r"\s+", " ", text("protocol/gen/introduction.md"))
    assert f"{number('broker/front/front.h', 'BH_START_MS')} ms to be started" in page
    assert f"{number('broker/front/front.h', 'BH_STAGE_MS')} ms to take more" in page
