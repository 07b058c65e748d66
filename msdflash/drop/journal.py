"""The journal: what happened to each drop, written down before it happens.

A file of lines: the CRC-32 (ISO-HDLC, as in zlib) of the JSON text in 8 hex digits, a blank, the JSON text of one
:data:`~msdflash.drop.record.Record`. Each line is forced to the disk before the act that it announces. A power cut can tear the last line;
such a tail is cut off, told, and set aside. Lines that are whole but from a newer version are kept untouched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from pathlib import Path

import msgspec

from msdflash.drop.place import Place, patiently
from msdflash.drop.record import Answer, Answered, Cleared, Counted, Drop, Record, Shelved, Started, Taken

_RESERVE = 1024 * 1024
_COMPACT_BYTES = 4 * 1024 * 1024
_COMPACT_CLEARED = 64
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


class Entry(msgspec.Struct):
    """An open drop: how often its job was started since it was taken, and its answer once there is one."""

    drop: Drop
    starts: int = 0
    answered: Answered | None = None


def encode_line(record: Record) -> bytes:
    """One line of the journal, newline included."""
    text = _encoder.encode(record)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def intact(line: bytes) -> bool:
    """Whether a line (without newline) is exactly what was written."""
    return len(line) > 9 and line[8:9] == b" " and line[:8] == b"%08x" % zlib.crc32(line[9:])


def is_full(error: OSError) -> bool:
    """Whether an error says that there is no space left."""
    return error.errno in _FULL


class Journal:
    """The open drops of one board, and the file behind them. One process, one thread.

    Attributes:
        open: drops without a final, published answer, oldest first.
        left: answered drops whose entry could not be taken out of the folder, by id.
        remount: the count of the last answer.
        last: the last answer that was cleared, or None.
        told: what was wrong with the file when it was opened, in sentences.
    """

    def __init__(self, path: Path, reserve: int = _RESERVE) -> None:
        """Open or make the journal; its directory must exist. ``reserve``: bytes kept back for a full disk. Raises OSError."""
        self._reserved = reserve
        self.path = path
        self.open: dict[str, Entry] = {}
        self.left: dict[str, Drop] = {}
        self.remount = 0
        self.last: Answer | None = None
        self.told: list[str] = []
        self._foreign: list[bytes] = []
        self._cleared = 0
        self._length = 0
        self._fd = -1
        self._reserve = path.with_name(path.name + ".reserve")
        damaged = self._load()
        if damaged or self._cleared:
            self.compact()
        else:
            self._open_file()
        self._keep_reserve()

    def close(self) -> None:
        """Close the file; twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # --- writing ------------------------------------------------------------------------------------------------------------------

    def write(self, record: Record) -> None:
        """Append, force to the disk, then apply. Raises OSError; then neither the file nor the state has changed.

        A reserve on the disk is given up for this before "disk full" is.
        """
        line = encode_line(record)
        try:
            self._append(line)
        except OSError as error:
            if not is_full(error) or not self._give_reserve():
                raise
            self._append(line)
        self._apply(record)
        if self._length > _COMPACT_BYTES or self._cleared > _COMPACT_CLEARED:
            with contextlib.suppress(OSError):  # only tidying; the next record tries again
                self.compact()
                self._keep_reserve()

    def compact(self) -> None:
        """Replace the file by one that holds only what is open, atomically. Raises OSError; then the old file stays."""
        lines = [*self._foreign, encode_line(Counted(self.remount, self.last))]
        for drop in self.left.values():
            lines += [encode_line(Taken(drop)), encode_line(Cleared(drop.id, left=True))]
        for entry in self.open.values():
            lines.append(encode_line(Taken(entry.drop)))
            lines += [encode_line(Started(entry.drop.id))] * entry.starts
            if entry.answered is not None:
                lines.append(encode_line(entry.answered))
        with Place.open(self.path.parent) as place:
            fresh = self.path.name + ".new"
            with contextlib.suppress(FileNotFoundError):
                place.unlink(fresh)
            place.create(fresh, b"".join(lines))
            self.close()  # Windows replaces no open file
            try:
                place.replace(fresh, place, self.path.name)
                place.sync()
            finally:
                self._open_file()
        self._cleared = 0

    def _append(self, line: bytes) -> None:
        view = memoryview(line)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
            os.fsync(self._fd)
        except OSError:
            # A piece of a line would swallow the next one.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._length)
            raise
        self._length += len(line)

    def _open_file(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self._fd = patiently(lambda: os.open(self.path, flags, 0o600))
        self._length = os.fstat(self._fd).st_size
        with Place.open(self.path.parent) as place:
            place.sync()

    def _keep_reserve(self) -> None:
        with contextlib.suppress(OSError):
            if self._reserved and not self._reserve.exists():
                # Not zeros: some file systems keep no blocks for those.
                self._reserve.write_bytes(b"\xa5" * self._reserved)

    def _give_reserve(self) -> bool:
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    # --- reading ------------------------------------------------------------------------------------------------------------------

    def _load(self) -> bool:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return False
        lines = data.split(b"\n")
        torn = lines.pop()
        bad = 0
        for line in lines:
            if not intact(line):
                bad += 1
                continue
            try:
                self._apply(_decoder.decode(line[9:]))
            except msgspec.MsgspecError:
                self._foreign.append(line + b"\n")
        if torn and intact(torn):  # only its newline is missing
            with contextlib.suppress(msgspec.MsgspecError):
                self._apply(_decoder.decode(torn[9:]))
        elif torn:
            self.told.append(f"the last {len(torn)} bytes of {self.path.name} were a torn record and were cut off")
        if bad:
            self.told.append(f"{bad} damaged lines in {self.path.name} were left out")
        if self._foreign:
            self.told.append(f"{len(self._foreign)} lines in {self.path.name} are of an unknown kind and were kept as they are")
        if self.told and (bad or torn):
            with contextlib.suppress(OSError):
                self.path.with_name(self.path.name + ".damaged").write_bytes(data)
        return bool(bad or torn)

    def _apply(self, record: Record) -> None:
        match record:
            case Taken(drop=drop):
                self.open[drop.id] = Entry(drop)
            case Started(id=name) | Shelved(id=name):
                if name in self.open:
                    step = 1 if isinstance(record, Started) else -1
                    self.open[name].starts = max(0, self.open[name].starts + step)
            case Answered(id=name, remount=remount):
                self.remount = max(self.remount, remount)
                if name in self.open:
                    self.open[name].answered = record
            case Cleared(id=name, left=left):
                self._clear(name, left=left)
            case Counted(remount=remount, answer=answer):
                self.remount = max(self.remount, remount)
                self.last = answer

    def _clear(self, name: str, *, left: bool) -> None:
        self._cleared += 1
        entry = self.open.pop(name, None)
        if entry is not None and entry.answered is not None:
            self.last = entry.answered.answer
        if left and entry is not None:
            self.left[name] = entry.drop
        elif not left:
            self.left.pop(name, None)
