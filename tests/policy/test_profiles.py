"""Each shipped profile, by its file of cases: in the product, through `use`, and in the naive way of reading a case."""

import json
import re

import pytest

import model
from batch import ROOT, Batch

PROFILES = sorted(path.stem for path in (ROOT / "policy" / "profiles").glob("*.policy"))
CASE = re.compile(r"(allow|deny) ([\w-]+)(?: (\{.*\}))?(?: object (\S+))?(?: rule ([\w-]+))?$")
MODES = {"r": 1, "w": 14, "a": 20, "r+": 3, "w+": 15, "a+": 21}


def read_cases(name):
    lines = (ROOT / "policy" / "profiles" / f"{name}.cases").read_text().splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            match = CASE.match(line)
            assert match, line
            yield match.group(1), match.group(2), json.loads(match.group(3) or "{}"), match.group(4), match.group(5)


def request(command, arguments, listed):
    if listed and command in model.MOUNTING:
        return {"channel": "main", "command": command, "mount": listed}
    if listed:
        return {"channel": "main", "command": command, "listed": listed}
    if command == model.EXEC:
        return {"channel": "main", "command": command,
                "exec": {"path": arguments["path"], "resolved": arguments["path"], "args": arguments.get("arg", []),
                         "env": arguments.get("env", []), "input": "input-data" in arguments}}
    return {"channel": "main", "command": command, "path": arguments.get("path"), "found": False, "regular": True,
            "user": None, "verbs": MODES[arguments.get("mode", "r")]} if command == model.OPEN else {
                "channel": "main", "command": command}


@pytest.mark.parametrize("name", PROFILES)
def test_every_command_was_reviewed(name):
    """A command that is new since is denied by the profile: whoever adds one decides for each profile."""
    text = (ROOT / "policy" / "profiles" / f"{name}.policy").read_text()
    assert re.search(r"^commands (\d+)$", text, re.M)[1] == str(len(model.COMMANDS))


@pytest.mark.parametrize("name", PROFILES)
def test_cases(name):
    cases = list(read_cases(name))
    assert {verdict for verdict, *_ in cases} >= {"allow"}
    batch = Batch()
    done, findings = batch.compile([("policy", False, f"policy 1\ncommands {len(model.COMMANDS)}\nuse {name}\n")])
    assert done and not findings, findings
    got = batch.decide([request(*case[1:4]) for case in cases])
    batch.close()
    for (verdict, command, arguments, _, rule), (was, by) in zip(cases, got):
        assert (was == "allow") == (verdict == "allow"), (command, arguments, was)
        assert rule is None or by == rule, (command, by)


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_hold_only_allows_and_are_reviewed(name):
    text = (ROOT / "policy" / "profiles" / f"{name}.policy").read_text()
    assert not re.search(r"^\s*(rule \S+ )?deny", text, re.M)
    assert f"commands {len(model.COMMANDS)}\n" in text
