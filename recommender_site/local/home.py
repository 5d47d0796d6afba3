"""The directories of the embedded servers, and the account that they run as. Standard library only."""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
SHARED_STATE = Path("/var/lib/forecourt")  # for root only, see Home
LONGEST_SOCKET_PATH = 100  # bytes; the kernel takes 107 on Linux and 103 on macOS


def state_directory() -> Path:
    """Return the directory of all files that are not code: ``var`` beside manage.py, or EMBEDDED_DIR."""
    return Path(os.environ.get("EMBEDDED_DIR") or PROJECT / "var").resolve()


class EmbeddedError(RuntimeError):
    """An embedded server cannot be started or stopped; the message names the server and the cause."""


@dataclass(frozen=True)
class Account:
    """The unprivileged account that servers run as when root starts them; PostgreSQL refuses to be root."""

    uid: int
    gid: int

    @classmethod
    def for_root(cls, data: Path) -> "Account":
        """Return the owner of existing data, so that root can start what a user made; otherwise a system account."""
        with contextlib.suppress(OSError):
            owner = data.stat()
            if owner.st_uid != 0:
                return cls(owner.st_uid, owner.st_gid)
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid)
        raise EmbeddedError("PostgreSQL refuses to run as root, and there is no account 'nobody' to run it as")

    def process_options(self) -> dict[str, Any]:
        """Return arguments that make ``subprocess`` drop root, with its groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_read(self, path: Path) -> bool:
        command = ["test", "-r", str(path)]
        return subprocess.run(command, cwd="/", check=False, **self.process_options()).returncode == 0


class Home:
    """The directories of one set of servers, and the account they run as.

    If root runs a project in a private directory such as /root, the directory stays private: data and a copy of the
    binaries go to ``/var/lib/forecourt``, where the unprivileged account can read them.
    """

    def __init__(self, name: str, parent: Path | None = None) -> None:
        wanted = (parent or state_directory()).resolve() / name
        _make_directory(wanted)
        self.name = name
        self.base = wanted
        self.account: Account | None = None
        if os.geteuid() == 0:
            self.account = Account.for_root(wanted / "pgdata")
            if not self.account.can_read(wanted):
                self.base = SHARED_STATE / _short_hash(wanted)
                _make_directory(self.base, mode=0o755)
                self.account = Account.for_root(self.base / "pgdata")
        self.run = self._socket_directory()

    def _socket_directory(self) -> Path:
        """Create a private directory: the servers ask for no password, so its mode 0700 is the access control."""
        directory = self.base / "run"
        if len(os.fsencode(directory / ".s.PGSQL.5432.lock")) > LONGEST_SOCKET_PATH:
            directory = Path("/tmp") / f"forecourt-{os.geteuid()}-{_short_hash(self.base)}"  # noqa: S108 (owner checked)
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), self.account and self.account.uid):
            raise EmbeddedError(f"{directory} belongs to another user; remove it, or set EMBEDDED_DIR")
        self.hand_over(directory)
        directory.chmod(0o700)
        return directory

    def hand_over(self, path: Path) -> None:
        """Make the servers' account the owner of a file or of a whole directory."""
        if self.account is None:
            return
        for each in (path, *path.rglob("*")):
            os.chown(each, self.account.uid, self.account.gid, follow_symlinks=False)

    def process_options(self) -> dict[str, Any]:
        return self.account.process_options() if self.account else {}

    def binaries(self, package: str, *parts: str) -> Path:
        """Return the path of ``parts`` in an installed package, or in a copy of it if the account cannot read the
        original.

        The copy keeps the layout of site-packages, since the client tools find libraries beside their package.
        """
        spec = importlib.util.find_spec(package)  # finds without importing: no side effects
        if spec is None or not spec.submodule_search_locations:
            raise EmbeddedError(f"the package {package} is not installed: run `make` again, or set DATABASE_URL")
        original = Path(next(iter(spec.submodule_search_locations)))
        if self.account is None or self.account.can_read(original.joinpath(*parts)):
            return original.joinpath(*parts)
        version = importlib.metadata.version(package.replace("_", "-"))
        copy = SHARED_STATE / f"{package}-{version}"
        if not copy.exists():
            _make_directory(SHARED_STATE, mode=0o755)
            _copy_package(original, parts[0], copy)
        return copy / package / Path(*parts)


def _make_directory(path: Path, mode: int | None = None) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if mode is not None:
        path.chmod(mode)  # mkdir's own mode is narrowed by the umask


def _copy_package(original: Path, subdirectory: str, copy: Path) -> None:
    """Copy one directory of a package, and the libraries beside the package, completely or not at all."""
    unfinished = copy.with_name(f"{copy.name}.{os.getpid()}.unfinished")
    leave_out = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(original / subdirectory, unfinished / original.name / subdirectory, ignore=leave_out)
    libraries = original.with_name(f"{original.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, unfinished / libraries.name)
    for directory in (unfinished, unfinished / original.name):
        directory.chmod(0o755)
    try:
        unfinished.rename(copy)
    except OSError:  # another process was first
        shutil.rmtree(unfinished)


def _short_hash(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:10]
