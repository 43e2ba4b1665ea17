"""What contact sheets can be sorted by; alone in its file, so that the command line starts without the reader."""

from __future__ import annotations

from enum import StrEnum


class By(StrEnum):
    """What a sheet is sorted by."""

    CONDITION = "condition"
    BODY = "body"
    ROOM = "room"
    CAMERA = "camera"
