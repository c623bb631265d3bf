"""Building the page, with stand-ins for Node.js and npm: what is done, what is not done twice, and
what is said where there is no Node.js."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running import PROJECT

Done = subprocess.CompletedProcess[str]

NODE = "#!/bin/sh\necho {version}\n"
NPM = """#!/bin/sh
echo "$3" "$4" >> {log}
case "$3" in
  ci) mkdir -p frontend/node_modules && touch frontend/node_modules/.package-lock.json ;;
  run) mkdir -p frontend/dist && touch frontend/dist/index.html ;;
esac
"""
INPUTS = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
BEFORE_S = 1_700_000_000
"""When all files of the project were written: long before whatever a test does."""


class Checkout:
    """A project with nothing but what builds the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "frontend/src/main.tsx"
        for name in ("src", "public", "tools"):
            (folder / "frontend" / name).mkdir(parents=True)
        for name in INPUTS:
            (folder / "frontend" / name).touch()
        self.source.touch()
        (folder / "scripts").mkdir()
        for name in ("Makefile", "scripts/node", "scripts/page"):
            shutil.copy(PROJECT / name, folder / name)
        for path in folder.rglob("*"):
            os.utime(path, (BEFORE_S, BEFORE_S))
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in ("bash", "sh", "dirname", "sort", "head", "mkdir", "touch", "find", "make"):
            (self.bin / tool).symlink_to(shutil.which(tool) or pytest.fail(tool))

    def install(self, version: str) -> None:
        for name, text in (
            ("node", NODE.format(version=version)),
            ("npm", NPM.format(log=self.folder / "npm.log")),
        ):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)

    def run(self, *command: str, **environ: str) -> Done:
        return subprocess.run(
            command,
            cwd=self.folder,
            env={"PATH": str(self.bin), **environ},
            capture_output=True,
            text=True,
        )

    def make(self) -> list[str]:
        """What npm was told by `make page`; afterwards all files are as old as before."""
        done = self.run("make", "page")
        assert done.returncode == 0, done.stderr
        self.let_time_pass()
        return self.did

    def let_time_pass(self) -> None:
        """What was built is newer than what it was built of, and older than any change to come."""
        for path in self.folder.rglob("*"):
            if not path.is_symlink():
                built = path.parent.name in ("dist", "node_modules")
                os.utime(path, (BEFORE_S + built, BEFORE_S + built))

    @property
    def did(self) -> list[str]:
        """What npm was told since the last look."""
        log = self.folder / "npm.log"
        lines = log.read_text().split("\n")[:-1] if log.exists() else []
        log.unlink(missing_ok=True)
        return [line.split(" --")[0] for line in lines]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_nothing_is_done_twice(checkout: Checkout) -> None:
    checkout.install("v20.19.0")
    assert checkout.make() == ["ci", "run build"]
    assert checkout.make() == []
    checkout.source.touch()
    assert checkout.make() == ["run build"]
    checkout.source.unlink()
    assert checkout.make() == ["run build"], "a file that is gone is a change as well"
    (checkout.folder / "frontend/package-lock.json").touch()
    assert checkout.make() == ["ci", "run build"]
    assert checkout.run("scripts/page", "check").returncode == 0
    assert checkout.did == ["run check"]


@pytest.mark.parametrize("version", [None, "v18.20.4", "v20.18.1"])
def test_without_a_node_that_is_new_enough(checkout: Checkout, version: str | None) -> None:
    if version is not None:
        checkout.install(version)
    dist = checkout.folder / "frontend/dist/index.html"
    dist.parent.mkdir()
    dist.write_text("built before")
    os.utime(dist, (BEFORE_S - 1, BEFORE_S - 1))
    done = checkout.run("make", "page")
    assert done.returncode == 0, "all the rest goes on"
    assert "The page needs Node.js 20.19 or newer" in done.stderr
    assert checkout.run("make", "page", CI="true").returncode != 0
    assert dist.read_text() == "built before"
    assert checkout.did == []


def test_the_one_in_the_environment_is_taken_when_the_machines_is_too_old(
    checkout: Checkout,
) -> None:
    checkout.install("v24.19.0")
    own = checkout.folder / ".venv/bin"
    own.mkdir(parents=True)
    for name in ("node", "npm"):
        (checkout.bin / name).rename(own / name)
    checkout.install("v18.20.4")
    assert checkout.run("scripts/node").stdout.strip() == str(own)
    assert checkout.run("make", "page").returncode == 0
    assert checkout.did == ["ci", "run build"]
