"""What a dropped file is, by its content; the name is only a hint.

Sources of the magics: each format's own specification; UF2 (github.com/microsoft/uf2), MCUboot (``image.h``, IMAGE_MAGIC), DfuSe
(ST UM0391), DAPLink build keys (``daplink.h``), AppleDouble (RFC 1740).
"""

from __future__ import annotations

import re

import msgspec

HEAD = 4096
"""Bytes at the start that decide."""


class Kind(msgspec.Struct, frozen=True):
    """A kind of content.

    Attributes:
        id: ``bin``, ``ihex`` or what it is instead (``elf``, ``uf2``, ``json``...).
        title: for people, with article.
        cause: id of the cause when it is refused; empty for what can be flashed.
        advice: what to do, one sentence; empty where the cause's own text is enough.
    """

    id: str
    title: str
    cause: str = "image-unknown-format"
    advice: str = ""


BIN = Kind("bin", "a raw binary", "")
IHEX = Kind("ihex", "an Intel hex file", "")
SREC = Kind("srec", "a Motorola S-record file", "")
UF2 = Kind("uf2", "a UF2 file", "")
ELF = Kind("elf", "an ELF file", "")

_CONVERT = "Convert it: arm-none-eabi-objcopy -O ihex."
_UNPACK = "Unpack it and drop the .bin or .hex inside."

_MAGICS: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"\x7fELF", ELF),
    (0, b"UF2\nWQ]\x9e", UF2),
    (512, b"UF2\nWQ]\x9e", UF2),  # the first block is damaged
    (0, b"\x3d\xb8\xf3\x96", Kind("mcuboot", "an MCUboot-signed image", "image-needs-base", "Give the slot's address.")),
    (0, b"\x3c\xb8\xf3\x96", Kind("mcuboot-v1", "an image signed for an old MCUboot", "image-needs-base", "Give the slot's address.")),
    (0, b"\x27\x05\x19\x56", Kind("uimage", "a U-Boot image", advice="It is for a computer that runs U-Boot.")),
    (20, b"STMP", Kind("sb", "an NXP secure binary (SB file)", advice="Use the maker's boot loader program, or drop the .hex or .bin.")),
    (0, b"DfuSe", Kind("dfuse", "a DfuSe file", advice="Extract the binary from it first.")),
    (0, b"PK\x03\x04", Kind("zip", "a ZIP archive", advice=_UNPACK)),
    (0, b"\x1f\x8b", Kind("gzip", "a gzip archive", advice=_UNPACK)),
    (0, b"BZh", Kind("bzip2", "a bzip2 archive", advice=_UNPACK)),
    (0, b"\xfd7zXZ\x00", Kind("xz", "an xz archive", advice=_UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", Kind("7z", "a 7-Zip archive", advice=_UNPACK)),
    (0, b"Rar!\x1a\x07", Kind("rar", "a RAR archive", advice=_UNPACK)),
    (257, b"ustar", Kind("tar", "a tar archive", advice=_UNPACK)),
    (0, b"!<arch>\n", Kind("ar", "a static library or Debian package", advice="Link it first.")),
    (0, b"%PDF-", Kind("pdf", "a PDF document")),
    (0, b"\x89PNG\r\n\x1a\n", Kind("png", "a PNG picture")),
    (0, b"\xff\xd8\xff", Kind("jpeg", "a JPEG picture")),
    (0, b"GIF8", Kind("gif", "a GIF picture")),
    (0, b"\x00\x05\x16\x07", Kind("appledouble", "macOS metadata (a ._ companion file)")),
    (0, b"\x00\x05\x16\x00", Kind("appledouble", "macOS metadata (AppleSingle)")),
    (0, b"MZ\x90\x00", Kind("exe", "a Windows program")),
    (0, b"\xcf\xfa\xed\xfe", Kind("macho", "a macOS program")),
    (0, b"\x4c\x00\x00\x00\x01\x14\x02\x00", Kind("lnk", "a Windows shortcut", advice="Copy the file itself.")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind("ole", "an Office document or installer")),
    (0, b"SQLite format 3\x00", Kind("sqlite", "an SQLite database")),
    (0, b"\xff\xfe", Kind("text", "UTF-16 text")),
    (0, b"\xfe\xff", Kind("text", "UTF-16 text")),
    # DAPLink puts a build key at 0x20 of its own images (interface and bootloader firmware of the probe).
    (0x20, b"\x8f\x9e\x93\x9b", Kind("daplink-interface", "DAPLink firmware (interface)", "probe-firmware")),
    (0x20, b"\x93\x9d\x93\x9b", Kind("daplink-bootloader", "DAPLink firmware (bootloader)", "probe-firmware")),
)
"""Offset, bytes, kind. The first match wins."""

_TEXTS: tuple[tuple[re.Pattern[bytes], Kind], ...] = (
    (re.compile(rb"<(!doctype\s+html|html|head)\b", re.I), Kind("html", "a web page", advice="Download the file itself.")),
    (re.compile(rb"<\?xml|<svg\b", re.I), Kind("xml", "an XML file")),
    (re.compile(rb"@[0-9A-Fa-f]+\s+[0-9A-Fa-f]{2}\b"), Kind("ti-txt", "a TI-TXT or Verilog hex file", advice=_CONVERT)),
    (re.compile(rb"[{\[]\s*[\"{\[\]}0-9tfn-]"), Kind("json", "a JSON file")),
    (re.compile(rb"---\s|%YAML"), Kind("yaml", "a YAML file")),
    (re.compile(rb"#![^\n]*python|(from|import)\s+\w+|def\s+\w+\(|\"\"\""), Kind("python", "a Python program")),
    (re.compile(rb"#!"), Kind("script", "a script")),
    (re.compile(rb"#\s*include\b|/\*|//"), Kind("source", "source code", advice="Build it and drop the .bin or .hex.")),
    (re.compile(rb"-----BEGIN "), Kind("pem", "a key or certificate")),
    (re.compile(rb"version https://git-lfs"), Kind("git-lfs", "a Git LFS pointer", advice="Run git lfs pull.")),
    (re.compile(rb"[\w.-]+:(\s|$)"), Kind("yaml", "a YAML file")),
)
"""Pattern at the first character of text that is not white space, and kind. The first match wins."""

TEXT = Kind("text", "a text file")
ZEROS = Kind("zeros", "a file of zero bytes only", "image-empty", "The copy was not finished: copy it again.")
BLANK = Kind("blank", "a file of 0xFF bytes only (erased flash)", "image-empty")
EMPTY = Kind("empty", "an empty file", "image-empty", "Copy it again.")
DFU = Kind("dfu", "a DFU file", advice="Remove its suffix (dfu-suffix -D) or drop the .bin.")

ESP = Kind("esp", "an image for an Espressif chip", "image-wrong-chip")

_RECORD = re.compile(rb":[0-9A-Fa-f]{8}")
_S_RECORD = re.compile(rb"S[0-9][0-9A-Fa-f]{8}")
_ESPRESSIF = re.compile(rb"\xe9[\x01-\x10][\x00-\x05][\x00-\xff]{4}\x40", re.DOTALL)
"""Espressif, "Firmware Image Format": magic 0xE9, 1 to 16 segments, flash mode, and an entry point in 0x40xxxxxx. No vector table of a
Cortex-M can look so: its stack pointer would be odd."""
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n\f"
_NOT_TEXT = bytes(code for code in range(0x20) if code not in b"\t\r\n\f\x1a\x1b") + b"\x7f"


def detect(data: bytes, name: str = "") -> Kind:
    """What ``data`` (a whole file) is.

    Args:
        data: all bytes of the file.
        name: its name. Used only where the content is hex or S-records with damage at the very start.
    """
    if not data:
        return EMPTY
    head = data[:HEAD]
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _RECORD.match(start):
        return IHEX
    if _S_RECORD.match(start):
        return SREC
    for offset, magic, kind in _MAGICS:
        if head.startswith(magic, offset):
            return kind
    if data[-8:-5] == b"UFD" and len(data) > 16:
        return DFU
    if data.count(data[:1]) == len(data) and data[:1] in (b"\x00", b"\xff"):
        return ZEROS if data[0] == 0 else BLANK
    if _ESPRESSIF.match(head):
        return ESP
    if _damaged(head, name, ":", (".hex", ".ihex", ".ihx")):
        return IHEX
    if _damaged(head, name, "S[0-9]", (".srec", ".s19", ".s28", ".s37", ".mot")):
        return SREC
    if _is_text(head):
        return next((kind for pattern, kind in _TEXTS if pattern.match(start)), TEXT)
    return BIN


def _damaged(head: bytes, name: str, mark: str, suffixes: tuple[str, ...]) -> bool:
    """Records whose first is broken: nearly all printable, and further ones stand at line starts (or the name says so)."""
    if len(head.translate(None, _PRINTABLE)) * 10 > len(head):
        return False
    records = len(re.findall(rb"[\r\n]" + mark.encode() + rb"[0-9A-Fa-f]{8}", head))
    named = name.lower().endswith(suffixes)
    return records >= 2 or (named and (records > 0 or re.search(mark.encode(), head[:64]) is not None))


def _is_text(head: bytes) -> bool:
    if head.translate(None, _NOT_TEXT) != head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return len(head) == HEAD and error.start > HEAD - 4  # a character cut by our own limit
    return True
