"""A model of an ensemble: where it is asked, what it costs, how often it is preferred; never its key."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from evolve.errors import UserError


@dataclass(frozen=True)
class Model:
    """Prices are money per million tokens, in any one currency; None where they are not known.

    Raises UserError for a weight, price or URL that cannot be.
    """

    name: str
    base_url: str | None = None  # None: OPENAI_BASE_URL, and without that the SDK's own default
    key_variable: str = "OPENAI_API_KEY"
    weight: float = 1.0
    input_price: float | None = None
    output_price: float | None = None
    cached_price: float | None = None  # of input tokens that the endpoint had cached; None: as other input

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise UserError("A model needs a name.")
        if not 0 < self.weight < math.inf:
            raise UserError(f"The weight of model '{self.name}' is {self.weight}: it must be a number above zero.")
        for price in (self.input_price, self.output_price, self.cached_price):
            if price is not None and not 0 <= price < math.inf:
                raise UserError(f"A price of model '{self.name}' is {price}: it must be a number, zero or above.")
        if (self.input_price is None) != (self.output_price is None):
            raise UserError(f"Model '{self.name}' has one price: give those of input and of output tokens, or neither.")
        if self.base_url is not None:
            check_url(self.base_url, f"The base URL of model '{self.name}'")

    @property
    def priced(self) -> bool:
        return self.input_price is not None

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float | None:
        """Money for one exchange; None where the price is not known. Cached tokens are among the input tokens."""
        if self.input_price is None or self.output_price is None:
            return None
        cached = self.input_price if self.cached_price is None else self.cached_price
        fresh = input_tokens - cached_tokens
        return (fresh * self.input_price + cached_tokens * cached + output_tokens * self.output_price) / 1e6

    def cost_bound(self, input_tokens: int, output_tokens: int) -> float | None:
        """The most that so many tokens can cost, cached or not; None where the price is not known."""
        costs = self.cost(input_tokens, output_tokens), self.cost(input_tokens, output_tokens, input_tokens)
        known = [cost for cost in costs if cost is not None]
        return max(known) if known else None

    def url(self, environment: Mapping[str, str] = os.environ) -> str | None:
        """Where the model is asked; None: the SDK's default. Raises UserError for a variable that is no URL."""
        url = self.base_url or environment.get("OPENAI_BASE_URL") or None
        if url is not None and self.base_url is None:
            check_url(url, "OPENAI_BASE_URL")
        return url

    def key(self, environment: Mapping[str, str] = os.environ) -> str:
        """The key, read from the environment when it is needed. Raises UserError where there is none to send."""
        key = environment.get(self.key_variable, "").strip()
        if not key:
            raise UserError(
                f"Model '{self.name}' needs its key in the variable {self.key_variable}, which is not set. "
                "An endpoint on your own machine takes any value: set it to 'x'."
            )
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise UserError(f"The value of {self.key_variable} cannot be a key: it has spaces or unusual characters.")
        return key


def check_url(url: str, what: str) -> None:
    """Raise UserError where `url` is not one of HTTP. User and password, if any, are not repeated."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise UserError(f"{what} is not an address of the form 'https://host/v1'.")


def shown_url(url: str) -> str:
    """A URL without user, password and query, to be printed."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}".rstrip("/")
