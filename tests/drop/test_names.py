"""Names: clutter never blocks, temporary names wait, everything else is a drop."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.drop.names import NameKind, display, name_kind, stored


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (
            NameKind.CLUTTER,
            (
                "._a.hex|._.Trashes|.DS_Store|.Trashes|.Trash-1000|.fseventsd|.Spotlight-V100|System Volume Information|Thumbs.db"
                "|DESKTOP.INI|$RECYCLE.BIN|lost+found|.msdflash|.fuse_hidden0000001|.nfs00000000abc|.TemporaryItems|IndexerVolumeGuid|.directory"
                "|.AppleDouble|Network Trash Folder|Temporary Items|.localized|FOUND.000|LOST.DIR|@Recycle|#snapshot|.Trash|.Trash-1000"
            ),
        ),
        (
            NameKind.TEMPORARY,
            (
                "a.hex.crdownload|a.part|A.PARTIAL|x.tmp|a.bin.filepart|~$a.hex|.a.hex.Xy12Zz|.goutputstream-AB12CD|Unconfirmed 1234"
                "|a.hex.sb-1a2b3c4d-XyZ012|a.hex.download|a.hex~"
            ),
        ),
        (NameKind.DROP, "a.hex|a.bin|firmware|README|Makefile.part.hex|a~b.hex|tmp|partial|thumbs.db.hex|_a.hex|ERASE.ACT|a b\u00e9.hex"),
    ],
)
def test_kind_of_name(kind: NameKind, names: str) -> None:
    assert {name: name_kind(name) for name in names.split("|")} == dict.fromkeys(names.split("|"), kind)


@settings(max_examples=80, deadline=None)
@given(name=st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=200))
def test_any_name_can_be_shown_and_stored(name: str) -> None:
    name_kind(name)
    assert display(name).isprintable()
    display(name).encode("utf-8")
    kept = stored(name)
    assert kept.isascii()
    assert 0 < len(kept) <= 80
    assert not set(kept) & set('/\\:*?"<>|')
    assert kept not in {".", ".."}


def test_a_name_that_is_no_text_can_be_shown() -> None:
    assert display("a\udcff\n.hex") == "a\\udcff\\n.hex"
