"""Asks a model over the chat-completions protocol: one completion, counted and priced, or a ModelError."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evolve.llm.faults import Fault, ModelError, retry_after
from evolve.llm.model import Model, shown_url
from evolve.llm.tokens import estimate

if TYPE_CHECKING:
    import httpx2
    import openai

TIMEOUT = 180.0  # seconds
RETRIES = 2  # by the SDK: dropped connections, 5xx, 408, 409, short 429
PATIENCE = 2.0  # seconds: where Retry-After is longer, the arm rests instead of a thread that sleeps
SECRET_LENGTH = 8  # characters: what is shorter is no key but a word, such as the 'x' for an endpoint of one's own
LARGEST_ANSWER = 32_000_000  # bytes; a stream of chunks takes some 300 a token
PROBE_TOKENS = 16  # fewer are refused by some endpoints


@dataclass(frozen=True)
class Completion:
    """One answer. Tokens are the endpoint's count; where it gives none they are estimates and the cost is None."""

    text: str
    finish_reason: str | None  # "stop", "length", "content_filter" or what else the endpoint says
    input_tokens: int
    output_tokens: int
    cached_tokens: int  # among the input tokens
    seconds: float
    cost: float | None  # money, in the currency of the model's prices; None: not known
    counted: bool  # False: the tokens are estimates


class Client:
    """One model's endpoint, over the openai SDK. May be used from several threads."""

    def __init__(
        self,
        model: Model,
        environment: Mapping[str, str] = os.environ,
        *,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
    ) -> None:
        """`timeout`: seconds for a whole answer, retries included. Raises UserError for a missing key or a bad URL."""
        import openai  # takes half a second, and a search without an endpoint needs none of it

        self.model = model
        self._key = model.key(environment)
        self._timeout = timeout
        self._call = threading.local()
        self._limit_name = "max_tokens"
        http = openai.DefaultHttpxClient(
            event_hooks={"request": [self._check_deadline], "response": [self._watch_response]}
        )
        self._sdk = openai.OpenAI(
            api_key=self._key, base_url=model.url(environment), timeout=timeout, max_retries=retries, http_client=http
        )
        self._where = f"model '{model.name}' at {shown_url(str(self._sdk.base_url))}"

    def __repr__(self) -> str:
        return f"Client({self._where})"

    def close(self) -> None:
        self._sdk.close()

    def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int,
        temperature: float | None = None,
        stream: bool = False,
        timeout: float | None = None,
    ) -> Completion:
        """The model's answer to `messages` (role and content each), of at most `max_tokens` tokens.

        Waits `timeout` seconds, twice that at the very most (an endpoint that is silent from its last
        moment on). Raises ModelError.
        """
        wait = self._timeout if timeout is None else timeout
        started = time.monotonic()
        self._call.deadline = started + wait
        request: dict[str, Any] = {"model": self.model.name, "messages": list(messages), "timeout": wait}
        if temperature is not None:
            request["temperature"] = temperature
        if stream:
            request |= {"stream": True, "stream_options": {"include_usage": True}}
        answer = self._ask(request, max_tokens)
        seconds = time.monotonic() - started
        if len(self._key) >= SECRET_LENGTH and self._key in answer.text:  # it would be archived
            answer = replace(answer, text=answer.text.replace(self._key, "[key]"))
        usage = _usage(answer.usage)
        if usage is None:
            sent = sum(estimate(message["content"]) for message in messages)
            return Completion(
                answer.text, answer.finish_reason, sent, estimate(answer.text), 0, seconds, cost=None, counted=False
            )
        cost = self.model.cost(*usage)
        return Completion(answer.text, answer.finish_reason, *usage, seconds, cost, counted=True)

    def probe(self, timeout: float = 30.0) -> Completion:
        """One tiny request, to be told at once of a wrong key, an unknown model or an unreachable endpoint.

        Raises ModelError, whose message is a sentence for the user.
        """
        return self.complete([{"role": "user", "content": "Say ok."}], max_tokens=PROBE_TOKENS, timeout=timeout)

    def _ask(self, request: dict[str, Any], max_tokens: int) -> _Answer:
        import openai

        try:
            try:
                return self._read(self._send(request, max_tokens))
            except openai.BadRequestError as error:
                if self._limit_name != "max_tokens" or "max_completion_tokens" not in error.message:
                    raise
                # Some endpoints know only the new name of the parameter and others only the old one.
                self._limit_name = "max_completion_tokens"
                return self._read(self._send(request, max_tokens))
        except openai.OpenAIError as error:
            fault = self._fault(error)
        except json.JSONDecodeError:
            fault = ModelError(Fault.INVALID_REPLY, f"The {self._where} sent an answer that is not valid JSON.")
        raise fault from None  # the SDK's error holds the request, and that the key

    def _send(self, request: dict[str, Any], max_tokens: int) -> Any:
        limited: dict[str, Any] = {**request, self._limit_name: max_tokens}
        return self._sdk.chat.completions.create(**limited)

    def _read(self, response: Any) -> _Answer:
        """From a completion or a stream of chunks, of which the endpoint may have left out any part."""
        import openai

        answer = _read_stream(response) if isinstance(response, openai.Stream) else _read_completion(response)
        if answer is None:
            raise ModelError(Fault.INVALID_REPLY, f"The {self._where} sent an answer without a choice in it.")
        return answer

    def _fault(self, error: openai.OpenAIError) -> ModelError:
        import openai

        if isinstance(error, openai.APITimeoutError):
            return self._timed_out()
        if isinstance(error, openai.APIConnectionError):
            import httpx2

            reached = not isinstance(error.__cause__, httpx2.ConnectError)
            trouble = "dropped the connection" if reached else "cannot be reached"
            return ModelError(Fault.CONNECTION, f"The {self._where} {trouble}.", sent=reached)
        if not isinstance(error, openai.APIStatusError):
            return ModelError(Fault.INVALID_REPLY, f"The {self._where} gave no usable answer: {self._said(error)}.")
        code = error.status_code
        if code in (401, 403):
            return ModelError(
                Fault.WRONG_KEY, f"The {self._where} does not accept the key in {self.model.key_variable} ({code})."
            )
        if code == 404:
            return ModelError(
                Fault.NOT_FOUND,
                f"The {self._where} does not exist (404): a wrong name, or a base URL without its '/v1'.",
            )
        if code == 429:
            rest = retry_after(error.response.headers)
            return ModelError(
                Fault.RATE_LIMITED, f"The {self._where} is at its limit (429): {self._said(error)}.", rest
            )
        if code >= 500:
            rest = retry_after(error.response.headers)
            return ModelError(Fault.SERVER, f"The {self._where} has an error ({code}): {self._said(error)}.", rest)
        return ModelError(Fault.REFUSED, f"The {self._where} refused the request ({code}): {self._said(error)}.")

    def _said(self, error: openai.OpenAIError) -> str:
        """The endpoint's own words in one line, without the key, which some endpoints repeat."""
        words = " ".join(str(error).replace(self._key, "[key]").split())
        return words[:300].rstrip(".") or "it gives no reason"

    def _timed_out(self) -> ModelError:
        return ModelError(Fault.TIMEOUT, f"The {self._where} did not answer within its time limit.")

    def _flood(self) -> ModelError:
        size = f"{LARGEST_ANSWER / 1e6:g} MB"
        return ModelError(Fault.INVALID_REPLY, f"The {self._where} sent an answer of more than {size}.")

    def _check_deadline(self, _: httpx2.Request) -> None:
        if time.monotonic() > self._call.deadline:  # before a retry; ModelError passes through the SDK unretried
            raise self._timed_out()

    def _watch_response(self, response: httpx2.Response) -> None:
        import httpx2

        wait = retry_after(response.headers)
        if wait is not None and wait > PATIENCE:
            response.headers["x-should-retry"] = "false"  # the SDK would sleep for up to two minutes, twice
        stream = response.stream
        check, flood = self._check_deadline, self._flood

        class Watched(httpx2.SyncByteStream):
            """The HTTP timeout is one between bytes, and without an end to them: a trickle or a flood would go on."""

            def __iter__(self) -> Iterator[bytes]:
                assert isinstance(stream, httpx2.SyncByteStream)
                size = 0
                for chunk in stream:
                    check(response.request)
                    size += len(chunk)
                    if size > LARGEST_ANSWER:
                        raise flood()
                    yield chunk

            def close(self) -> None:
                assert isinstance(stream, httpx2.SyncByteStream)
                stream.close()

        response.stream = Watched()


@dataclass(frozen=True)
class _Answer:
    text: str
    finish_reason: str | None
    usage: Any


def _read_completion(response: Any) -> _Answer | None:
    choices = getattr(response, "choices", None)  # a text: the endpoint's answer was not JSON at all
    if not isinstance(choices, list) or not choices or getattr(choices[0], "message", None) is None:
        return None
    message, usage = choices[0].message, getattr(response, "usage", None)
    content, refusal = getattr(message, "content", None), getattr(message, "refusal", None)
    if refusal and not content:
        return _Answer(str(refusal), "content_filter", usage)
    return _Answer(content if isinstance(content, str) else "", _reason(choices[0]), usage)


def _read_stream(stream: Any) -> _Answer | None:
    parts: list[str] = []
    reason = None
    usage = None
    seen = False
    for chunk in stream:
        usage = getattr(chunk, "usage", None) or usage
        choices = getattr(chunk, "choices", None)
        for choice in choices[:1] if isinstance(choices, list) else ():
            seen = True
            reason = _reason(choice) or reason
            content = getattr(getattr(choice, "delta", None), "content", None)
            if isinstance(content, str):
                parts.append(content)
    return _Answer("".join(parts), reason, usage) if seen else None


def _reason(choice: Any) -> str | None:
    reason = getattr(choice, "finish_reason", None)
    return reason if isinstance(reason, str) else None


def _usage(usage: Any) -> tuple[int, int, int] | None:
    """Input, output and cached tokens; None where the endpoint does not give the first two."""
    sent, written = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    if not isinstance(sent, int) or not isinstance(written, int):
        return None
    cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None)
    return sent, written, min(cached, sent) if isinstance(cached, int) else 0
