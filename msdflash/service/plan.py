"""What an installation consists of, as plain data: each system's module makes a :class:`Plan`, :mod:`msdflash.service.setup` walks it."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Site(msgspec.Struct, frozen=True):
    """Where and for whom.

    Attributes:
        system: for the whole machine, nobody need be logged in; else for this user.
        program: command that starts msdflash, as the service will find it.
        config: configuration file.
        drives: folder below which the drive folders are made.
        home: state, logs and locks of the service.
        user: account that runs it, where the system has it named.
    """

    system: bool
    program: tuple[str, ...]
    config: Path
    drives: Path
    home: Path
    user: str = ""


class PutFolder(msgspec.Struct, frozen=True):
    """A folder that shall exist. ``mode`` is set only if it is made."""

    path: Path
    mode: int
    purpose: str


class PutFile(msgspec.Struct, frozen=True):
    """A file. ``theirs``: people edit it, so one that exists stays as it is."""

    path: Path
    content: bytes
    purpose: str
    theirs: bool = False


class Command(msgspec.Struct, frozen=True):
    """A program of the system to run.

    Attributes:
        argv: what to run.
        purpose: for people.
        undo: how to undo it by hand; empty if there is nothing to undo.
        rooted: what to run instead for an installation below another root, with ``{root}``; empty: it has no meaning there.
        needed: its failure ends the command with an error; else it is told.
    """

    argv: tuple[str, ...]
    purpose: str
    undo: str = ""
    rooted: tuple[str, ...] = ()
    needed: bool = False


class Plan(msgspec.Struct, frozen=True):
    """A whole installation.

    Attributes:
        folders, files, setup: made in this order.
        teardown: run before the files are removed.
        afterwards: run when they are gone.
        start, stop, status: commands of the same names.
        notes: what remains to be done or known.
        remains: what uninstall leaves, and why.
    """

    folders: tuple[PutFolder, ...]
    files: tuple[PutFile, ...]
    setup: tuple[Command, ...]
    teardown: tuple[Command, ...]
    afterwards: tuple[Command, ...]
    start: Command
    stop: Command
    status: Command
    notes: tuple[str, ...] = ()
    remains: tuple[str, ...] = ()
