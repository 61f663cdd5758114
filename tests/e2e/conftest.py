"""Fixtures of the end-to-end tests: folders on the disk, and agents that are stopped whatever happens."""

import os
import pathlib
import shutil
import tempfile

import pytest

from harness import BUILD, PEER_PROGRAM, Agent, Peer
from images import Lifeline, World


os.environ["QGA_CONF"] = "/nonexistent/qemu-ga.conf"  # what this machine has configured is no part of a test


@pytest.fixture
def folder():
    """A short path below /tmp that every user may walk through: socket paths end at 107 bytes."""
    path = tempfile.mkdtemp(prefix="bh-", dir="/tmp")
    os.chmod(path, 0o755)
    yield pathlib.Path(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(folder):
    """start(policy, *options) runs an agent in `folder`."""
    assert (BUILD / "bulkhead").exists(), "not built: ./dev build"
    agents = []

    def run(policy="open", *options, **more):
        agent = Agent(folder / f"agent{len(agents)}", policy, *options, **more)
        agents.append(agent)
        return agent.start()

    yield run
    for agent in agents:
        agent.stop()


@pytest.fixture
def peer(folder):
    if not os.path.exists(PEER_PROGRAM):
        pytest.skip(f"{PEER_PROGRAM} is missing (package qemu-guest-agent)")
    with Peer(folder / "peer") as agent:
        yield agent


@pytest.fixture(scope="session")
def lifeline():
    line = Lifeline()
    yield line
    line.close()


@pytest.fixture
def world(lifeline, folder):
    """File systems that may be frozen (images.py)."""
    place = World(lifeline, folder)
    yield place
    place.close()
