"""A new command is one schema entry and one handler: tried in a scratch copy of the tree.

No shipped profile grants it until its author has reviewed it (`commands N`); a rule that names it does.
"""

import json
import os
import shutil
import subprocess

import pytest

from harness import ROOT, Agent

ENTRY = {"doc": "Tells the answer, for a test.", "worker": "info", "since": "0.15", "classes": ["@info"],
         "args": {"question": {"type": "line", "doc": "what is asked"}},
         "returns": {"type": "any-int", "doc": "its length"}, "deadline-ms": 5000, "reply-max": 64, "audit": "count"}
POLICY = "policy 1\nallow @sync, guest-get-answer\n"
ENV = {**os.environ, "PATH": "/usr/bin:" + os.environ["PATH"]}
HANDLER = """

int bh_do_guest_get_answer(struct bh_call *call, const struct bh_guest_get_answer_args *args,
                           struct bh_guest_get_answer_ret *ret)
{
    (void)call;
    ret->value = (int64_t)args->question.len;
    return 0;
}
"""


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, env=ENV)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def add_entry(tree):
    path = tree / "protocol" / "schema.json"
    schema = json.loads(path.read_text())
    schema["commands"]["guest-get-answer"] = ENTRY
    path.write_text(json.dumps(schema, indent=2))


@pytest.fixture
def tree(folder):
    copy = folder / "tree"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("build*", ".git", "__pycache__", "corpus"))
    return copy


def test_add_a_command(tree, folder):
    add_entry(tree)
    with open(tree / "workers" / "info" / "osinfo.c", "a") as file:
        file.write(HANDLER)
    run("meson", "setup", "build", cwd=tree)
    run("ninja", "-C", "build", "-j2", "bulkhead", "bulkhead-front", "bulkhead-info", "bulkhead-audit", "bulkhead-fs",
        "bulkhead-opener", "bulkhead-policyc", "bulkhead-smart", "bulkhead-exec", "bulkhead-spawn", "bulkhead-spool", "bulkhead-storage", "bulkhead-thaw", "bulkhead-hook", cwd=tree)
    with Agent(folder / "agent", POLICY, build=tree / "build") as agent, agent.client() as client:
        assert client.ok("guest-get-answer", {"question": "how long?"}) == 9
        assert client.error("guest-get-answer")[1] == "Parameter 'question' is missing"
        rows = [row["name"] for row in client.ok("guest-info")["supported_commands"]]
        assert "guest-get-answer" in rows
    with Agent(folder / "unreviewed", "open", build=tree / "build") as agent, agent.client() as client:
        assert "has been disabled" in client.error("guest-get-answer", {"question": "allowed?"})[1]


def test_a_command_without_a_handler_does_not_link(tree):
    add_entry(tree)
    run("meson", "setup", "build", cwd=tree)
    done = subprocess.run(["ninja", "-C", "build", "-j2", "bulkhead-info"], cwd=tree, capture_output=True, text=True,
                          timeout=300, env=ENV)
    assert done.returncode != 0 and "bh_do_guest_get_answer" in done.stdout
