"""What can go wrong with an endpoint, as one error with a kind and the time to leave it alone."""

from __future__ import annotations

import email.utils
import enum
import math
import time
from collections.abc import Mapping

LONGEST_REST = 3600.0  # seconds: an endpoint that asks for more is asked again after an hour


class Fault(enum.StrEnum):
    WRONG_KEY = "wrong key"  # 401, 403
    NOT_FOUND = "model not found"  # 404
    REFUSED = "request refused"  # another 4xx: too long a prompt, a parameter it does not know, no credit
    RATE_LIMITED = "rate limited"  # 429
    TIMEOUT = "timeout"
    CONNECTION = "connection"  # unreachable, or dropped while it answered
    SERVER = "server error"  # 5xx
    INVALID_REPLY = "invalid reply"  # not of the protocol


REST = {
    Fault.WRONG_KEY: 600.0,
    Fault.NOT_FOUND: 600.0,
    Fault.REFUSED: 120.0,
    Fault.RATE_LIMITED: 60.0,
    Fault.TIMEOUT: 60.0,
    Fault.CONNECTION: 30.0,
    Fault.SERVER: 60.0,
    Fault.INVALID_REPLY: 30.0,
}


class ModelError(Exception):
    """An exchange failed. The message is one sentence for the user; it never holds the key.

    `rest_seconds`: how long the arm should rest, as the endpoint asked (Retry-After) or by the fault's kind.
    """

    def __init__(self, kind: Fault, message: str, rest_seconds: float | None = None, *, sent: bool = True) -> None:
        """`sent`: False where the request never reached the endpoint, so that it cannot have cost anything."""
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.rest_seconds = REST[kind] if rest_seconds is None else rest_seconds
        self.may_have_cost = sent and kind in (Fault.TIMEOUT, Fault.CONNECTION, Fault.INVALID_REPLY)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks to wait, 0 to 3600; None where it does not say. RFC 9110, section 10.2.3."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_REST)
