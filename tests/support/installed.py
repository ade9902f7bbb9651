"""Taker as its wheel installs it, in an environment that holds nothing else of it.

Belongs here: building the wheel, installing it, running its command. Does not: expectations.

The wheel is built from the tracked files alone, by the locked build system. The environment is new; the packages that
Taker needs are this one's, by a path file, so that nothing is downloaded: of Taker it holds the wheel.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.commands import ROOT
from tests.support.dagster_web import without_settings


@dataclass(frozen=True)
class Installed:
    """`home`: the home folder of who runs its commands, empty. `as_installed`: `files` before the first command."""

    python: Path
    packages: Path
    home: Path
    as_installed: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        return [str(self.python.with_name("taker")), *arguments]

    def environment(self, **settings: str) -> dict[str, str]:
        # Python finds its compiled files in any case; that it writes them beside the source is not ours.
        kept = {"HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
        return without_settings() | kept | {f"TAKER_{name.upper()}": value for name, value in settings.items()}

    def run(self, folder: Path, *arguments: str, **settings: str) -> str:
        """What `taker ARGUMENTS`, started in `folder`, prints; it succeeds."""
        done = subprocess.run(
            self.command(*arguments), cwd=folder, env=self.environment(**settings), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def files(self) -> dict[str, str]:
        """Every file of the installed package, by its content."""
        return _contents(self.packages)


def _contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def built_wheel(folder: Path) -> Path:
    """The wheel of the tracked files, in `folder`."""
    source, out = folder / "source", folder / "dist"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if (ROOT / name).is_file():  # not one that is being removed
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    options = ["--wheel", "--no-build-isolation", "--offline", "--python", sys.executable, "--out-dir", str(out)]
    subprocess.run([_uv(), "build", *options, str(source)], check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def installed_in(folder: Path) -> Installed:
    """The wheel in a new environment in `folder`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python, wheel = folder / "venv" / "bin" / "python", built_wheel(folder)
    # Compiled once, since its commands may not: each would compile everything that it imports.
    install = ["pip", "install", "--offline", "--no-deps", "--compile-bytecode", "--python", str(python), str(wheel)]
    subprocess.run([_uv(), *install], check=True, capture_output=True)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "dependencies.pth").write_text(f"{ours}\n")
    (folder / "home").mkdir()
    return Installed(python, packages, folder / "home", _contents(packages))


def _uv() -> str:
    return str(Path(sys.executable).with_name("uv"))
