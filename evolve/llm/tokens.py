"""How many tokens a text has, without the model's tokenizer: an estimate, and a bound that holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

CHARACTERS_PER_TOKEN = 3.5  # of Python and English together; the tokenizers in use have 3 to 4
PER_MESSAGE = 32  # tokens that a chat template may add to each message


def estimate(text: str) -> int:
    """About how many tokens `text` has."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def upper_bound(messages: Iterable[Mapping[str, str]]) -> int:
    """More tokens than any byte-level tokenizer makes of the messages: a token is a byte at least."""
    return sum(len(message["content"].encode("utf-8", "surrogatepass")) + PER_MESSAGE for message in messages)
