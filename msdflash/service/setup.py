"""Walks a plan: install, uninstall, start, stop, status. Each thing done is told, with how to undo it.

What was made is written down beside the configuration (``install.json``), so that uninstall removes exactly that: files that somebody
changed since are set aside instead, folders go only if install made them and they are empty. Below another root (``--root``, for images and
packages) only files are placed, and commands run that can work there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from msdflash.errors import MsdflashError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.service.plan import Command, Plan, PutFile, Site

RECORD = "install.json"
ASIDE = "set-aside"
LONGEST = 150.0
"""Seconds for one command of the system: stopping the service may take 90."""


class Record(msgspec.Struct, frozen=True):
    """What install made, without the root. ``files``: sha256 by path; ``folders``: outermost first."""

    files: dict[str, str]
    folders: list[str]


class Setup:
    """One installation, real or below another root."""

    def __init__(self, plan: Plan, site: Site, root: Path | None, say: Callable[[str], None]) -> None:
        """Prepare; ``say`` tells each thing that is done."""
        self.plan = plan
        self._site = site
        self._root = root
        self._say = say
        # Beside the configuration, where only the administrator writes: what the service itself can write is not believed by root.
        self._kept = site.config.parent
        self._record = self._read_record()

    @property
    def installed(self) -> bool:
        """There is a record of an installation."""
        return self._below(self._kept / RECORD).is_file()

    def install(self) -> None:
        """Make everything; a second time renews it. Raises UsageError, MsdflashError."""
        try:
            for folder in self.plan.folders:
                path = self._below(folder.path)
                if self._folder(path):
                    path.chmod(folder.mode)
                    self._say(f"made   {folder.path}/ ({folder.purpose})   undo: rmdir {folder.path}")
            for file in self.plan.files:
                self._put(file)
        except OSError as error:
            raise UsageError(
                f"{error.filename}: {error.strerror}; a service for the whole machine is installed by its administrator"
            ) from error
        finally:
            self._write_record()
        for command in self.plan.setup:
            self._run(command)
        for note in self.plan.notes:
            self._say(f"note   {note}")

    def uninstall(self) -> None:
        """Undo what install made. History, and what somebody changed, stays. Raises UsageError, MsdflashError."""
        if not self.installed:
            raise UsageError(f"no service is installed here: {self._below(self._kept / RECORD)} is missing")
        for command in self.plan.teardown:
            self._run(command)
        try:
            for file in self.plan.files:
                if str(file.path) in self._record.files:
                    self._take_away(file, self._record.files[str(file.path)])
            self._below(self._kept / RECORD).unlink()
        except OSError as error:
            raise UsageError(
                f"{error.filename}: {error.strerror}; only its administrator can uninstall a service of the machine"
            ) from error
        for command in self.plan.afterwards:
            self._run(command)
        for name in reversed(self._record.folders):
            with contextlib.suppress(OSError):  # not empty: what is in it is history, or somebody else's
                self._below(Path(name)).rmdir()
                self._say(f"removed {name}/")
        for path in dict.fromkeys((self._site.home, self._site.drives, self._kept)):
            if self._below(path).exists():
                self._say(f"stays  {path}/ (history, and files of people)")
        for text in self.plan.remains if self._root is None else ():
            self._say(f"stays  {text}")

    def call(self, command: Command) -> int:
        """Run start, stop or status, with its output on ours; the command's own exit status. Raises MsdflashError, UsageError."""
        if self._root is not None:
            raise UsageError("--root is for install and uninstall only")
        status, why = _call(command.argv, quiet=False)
        if why:
            raise MsdflashError(f"{subprocess.list2cmdline(command.argv)} could not be run: {why}")
        return status

    # --- files ----------------------------------------------------------------------------------------------------------------

    def _below(self, path: Path) -> Path:
        return path if self._root is None else self._root / path.relative_to(path.anchor)

    def _folder(self, path: Path) -> bool:
        """Make a folder and those above it, and write down which were made. False if it was there."""
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o755)
            if self._site.system:
                folder.chmod(0o755)  # the service must get in, whatever the administrator's umask is
            name = str(folder if self._root is None else Path("/") / folder.relative_to(self._root))
            if self._root is None or folder.is_relative_to(self._root):
                self._record.folders.append(name)
        return bool(missing)

    def _put(self, file: PutFile) -> None:
        path, name = self._below(file.path), str(file.path)
        self._folder(path.parent)
        there = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        if there is None and os.path.lexists(path):
            raise UsageError(f"{path} is there and is no file; move it away")
        digest = hashlib.sha256(file.content).hexdigest()
        if there is not None and file.theirs:
            self._say(f"kept   {file.path} ({file.purpose}; it was there)")
            return
        if there is not None and there != file.content and hashlib.sha256(there).hexdigest() != self._record.files.get(name):
            self._set_aside(path, file.path)
        if there != file.content:
            fresh = path.with_name(path.name + ".new")
            fresh.write_bytes(file.content)
            fresh.chmod(0o644)
            fresh.replace(path)
        self._record.files[name] = digest
        self._say(f"wrote  {file.path} ({file.purpose})   undo: rm {file.path}")

    def _take_away(self, file: PutFile, digest: str) -> None:
        path = self._below(file.path)
        if not path.is_file():
            return
        if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            path.unlink()
            self._say(f"removed {file.path}")
        elif file.theirs:
            self._say(f"stays  {file.path} (it was changed by somebody)")
        else:
            self._set_aside(path, file.path)

    def _set_aside(self, path: Path, name: Path) -> None:
        folder = self._below(self._kept / ASIDE)
        self._folder(folder)
        target, number = folder / path.name, 1
        while target.exists():
            target, number = folder / f"{path.name}.{number}", number + 1
        shutil.move(path, target)
        self._say(f"moved  {name} to {self._kept / ASIDE / target.name} (it was changed by somebody)")

    def _read_record(self) -> Record:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self._below(self._kept / RECORD).read_bytes(), type=Record)
        return Record({}, [])

    def _write_record(self) -> None:
        with contextlib.suppress(OSError):
            self._folder(self._below(self._kept))
            self._below(self._kept / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(self._record)))

    # --- commands -------------------------------------------------------------------------------------------------------------

    def _run(self, command: Command) -> None:
        argv = command.argv
        if self._root is not None:
            argv = tuple(word.replace("{root}", str(self._root)) for word in command.rooted)
            if not argv or shutil.which(argv[0]) is None:
                self._say(f"not run below another root: {subprocess.list2cmdline(command.argv)} ({command.purpose})")
                return
        status, output = _call(argv, quiet=True)
        shown = subprocess.list2cmdline(argv)
        if status == 0:
            self._say(f"ran    {shown} ({command.purpose})" + (f"   undo: {command.undo}" if command.undo else ""))
        elif command.needed:
            raise MsdflashError(f"{shown} failed: {output or f'exit status {status}'}")
        else:
            self._say(f"failed {shown} ({command.purpose}): {output or f'exit status {status}'}")


def _call(argv: tuple[str, ...], *, quiet: bool) -> tuple[int, str]:
    """Exit status and what the command said, 127 if it is not there."""
    try:
        done = subprocess.run(
            argv, capture_output=quiet, text=True, errors="replace", timeout=LONGEST, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        return 127, str(error.strerror or error)
    except subprocess.TimeoutExpired:
        return 124, f"it did not end within {LONGEST:g} s"
    return done.returncode, " ".join(((done.stdout or "") + (done.stderr or "")).split())[:400]
