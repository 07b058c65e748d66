"""Does an image go together with what is in the chip's flash? Asked before anything is erased."""

from __future__ import annotations

from typing import Any

import msgspec

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
