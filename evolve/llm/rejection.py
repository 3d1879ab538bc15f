"""Why a reply did not become an offspring."""

from __future__ import annotations

import enum


class Kind(enum.StrEnum):
    """The reasons that the archive keeps and `status` counts."""

    EMPTY = "empty"  # no text at all
    REFUSAL = "refusal"  # the model declined, or its provider's filter did
    TRUNCATED = "truncated"  # ends in the middle: ask once to continue, then `join_continuation`
    NO_EDIT = "no edit"  # text, but nothing that could be applied
    MALFORMED_BLOCK = "malformed block"  # a SEARCH/REPLACE marker or its partner is wrong
    MALFORMED_DIFF = "malformed diff"  # a line of a hunk is neither context, nor removed, nor added
    SEVERAL_FILES = "several files"  # a diff of more than the genome
    EMPTY_SEARCH = "empty search"  # nothing says where the new lines belong
    NOT_FOUND = "not found"  # the lines to replace are not in the parent
    AMBIGUOUS = "ambiguous"  # they are there more than once
    OVERLAPPING = "overlapping"  # two blocks change the same lines
    FRAGMENT = "fragment"  # code, but not the whole file
    ELIDED = "elided"  # a comment stands for code that was left out
    NO_OP = "no-op"  # the child is the parent
    UNPARSABLE = "unparsable"  # the child is not Python
    REPEATED = "repeated"  # the same genome, or the same edit in vain, is archived
    DOES_NOT_RUN = "does not run"  # the dry run failed
    STALE = "stale"  # its parent left the population while it was written
    UNUSED = "unused"  # the search ended before it could be used
    UNWRITTEN = "unwritten"  # no reply: the endpoint was at fault


class ReplyRejected(Exception):  # noqa: N818 - a reply is refused, nothing went wrong
    """A reply holds no edit that can be applied: a `kind` to count and a `reason` to tell the model."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind = kind
        self.reason = reason
