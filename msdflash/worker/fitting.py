"""Does an image go together with what is in the chip's flash? Asked before anything is erased."""

from __future__ import annotations

from typing import Any

import msgspec

from msdflash.chips import vectors
from msdflash.chips.model import Family
from msdflash.errors import ImageError
from msdflash.image.existing import check_existing
from msdflash.image.layout import MemoryMap
from msdflash.image.segments import Image
from msdflash.worker import memory
from msdflash.worker.channel import Channel, StepFailed


def against_flash(channel: Channel, target: Any, layout: MemoryMap, family: Family | None, image: Image) -> None:
    """Compare the image with the boot loader or SoftDevice in flash; what is worth knowing joins the image's notes.

    Args:
        target: pyOCD target, halted; a few dozen bytes of its flash are read.

    Raises:
        StepFailed: ``image``, with its cause, when both do not go together. Errors of the link pass through.
    """
    try:
        notes = check_existing(image, layout, family.id if family is not None else "", lambda at, length: memory.read(target, at, length))
    except ImageError as error:
        channel.measure("image.facts", dict(error.facts))
        raise StepFailed("image", str(error), cause=error.cause) from error
    if notes and channel.image is not None:
        channel.image = msgspec.structs.replace(channel.image, notes=channel.image.notes + notes)


def name_other_chip(error: ImageError, image: Image, layout: MemoryMap) -> ImageError:
    """A refused vector table once more: where it would make sense on other chips of the tables, the file was built for one of them.

    Anything else comes back as it is.
    """
    boot = layout.boot()
    size = 0 if boot is None else max((end - boot.start for start, end in _spans(image) if start <= boot.start), default=0)
    table = image.read(boot.start, 4 * vectors.WORDS) if boot is not None else None
    others = vectors.fitting(table, size) if error.cause == "image-bad-vectors" and table is not None else ()
    if not others:
        return error
    names = list(dict.fromkeys(device.part for _, device in others))
    fits = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return ImageError("image-wrong-chip", str(error), **{**error.facts, "fits": fits})


_NAMED = 4


def _spans(image: Image) -> list[tuple[int, int]]:
    return [(start, start + length) for start, length in image.ranges()]
