"""./dev run: the tour shows what it promises, and ends cleanly."""

import os
import re
import signal
import subprocess

import pytest

from harness import ROOT, tree, wait_for

pytestmark = pytest.mark.root


def test_once():
    done = subprocess.run([ROOT / "broker" / "tour.sh", "--once"], capture_output=True, text=True, timeout=60)
    out = done.stdout
    assert done.returncode == 0, out + done.stderr
    assert '"pretty-name"' in out or "pretty-name" in out
    assert "These words are in a folder that a rule allows." in out
    assert "These are not." not in out
    assert re.search(r"BH1202, record \d+", out + done.stderr)
    for words in ("main/front", "refused", "demo"):
        assert words in out, words


def test_serves_until_interrupted():
    process = subprocess.Popen([ROOT / "broker" / "tour.sh"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    try:
        for line in process.stdout:
            if "^C ends it" in line:
                break
        family = tree(process.pid)
        assert len(family) >= 3
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family), 5, "all processes to end")
    finally:
        process.kill()
        process.stdout.close()
