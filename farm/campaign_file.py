"""A campaign's or a search's file as plain values: read without trusting it, and with faults named by line.

YAML can do more than campaigns need, and each of the rest is a way to be fooled: tags
that run code, aliases that make gigabytes of one kilobyte, keys that stand twice of
which the last wins in silence. All of it is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from farm.errors import CampaignError

MAX_FILE_BYTES = 1 << 20
"""The largest shipped campaign has 2 kB."""

MAX_LEVELS = 32
"""Campaigns nest four deep; PyYAML's recursion would end in a crash."""


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        CampaignError: It cannot be read, is too large, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CampaignError(f"{path}: cannot be read: {error.strerror}; check its permissions") from None
    if len(data) > MAX_FILE_BYTES:
        raise CampaignError(f"{path}: more than {MAX_FILE_BYTES} bytes; write at most that; 2 kB are enough")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CampaignError(
            f"{path}: cannot be read as text: byte {error.start} is not UTF-8; save it as UTF-8"
        ) from None


def parse(text: str, *, source: str) -> Any:
    """The plain value of one YAML document.

    Args:
        source: A file's name, for the messages.

    Raises:
        CampaignError: It is not YAML, or more than plain values.
    """
    try:
        level = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            where = source if event.start_mark is None else f"{source}: line {event.start_mark.line + 1}"
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise CampaignError(f"{where}: these files have no anchors and aliases (& and *); write the value out")
            level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if level > MAX_LEVELS:
                raise CampaignError(f"{where}: more than {MAX_LEVELS} levels of brackets; 5 are enough")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _refuse_bad_keys(node, source)
        return yaml.safe_load(text)
    except yaml.composer.ComposerError as error:
        raise CampaignError(
            f"{source}: {_line(error)}holds a second document ('---'); a file is one campaign, or one set of searches"
        ) from None
    except yaml.constructor.ConstructorError as error:
        raise CampaignError(f"{source}: not YAML of plain values: {_told(error)}; remove tags (!!)") from None
    except yaml.YAMLError as error:
        mend = "; indent with spaces" if "\\t" in str(error) else ""
        raise CampaignError(f"{source}: not YAML: {_told(error)}{mend}") from None
    except (ValueError, TypeError, AttributeError, OverflowError) as error:  # of PyYAML's own readers of dates, numbers
        raise CampaignError(
            f"{source}: a value cannot be read ({str(error)[:200]}); mend it or put it in quotes"
        ) from None


def _refuse_bad_keys(root: yaml.Node, source: str) -> None:
    left = [root]
    while left:
        node = left.pop()
        if isinstance(node, yaml.SequenceNode):
            left += node.value
        if isinstance(node, yaml.MappingNode):
            seen = set()
            for key, value in node.value:
                where = f"{source}: line {key.start_mark.line + 1}"
                if not isinstance(key, yaml.ScalarNode):
                    raise CampaignError(f"{where}: a key must be a word (an unfilled template?); write name: value")
                if key.value in seen:
                    raise CampaignError(f"{where}: the key {key.value!r} stands there twice; keep one")
                seen.add(key.value)
                left.append(value)


def _line(error: yaml.MarkedYAMLError) -> str:
    return f"line {error.problem_mark.line + 1} " if error.problem_mark else ""


def _told(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())[:300]
