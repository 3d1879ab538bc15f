"""A model behind a real HTTP server: it reads the genome in a prompt and answers with an edit of one constant."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

PATH = "/v1/chat/completions"
PROBE = "Say ok."
BLOCK = "Idea: {idea}\n\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"

Answer = Callable[[list[dict[str, str]], int], str]


def constant(name: str, text: str) -> str:
    """The line of a constant in the script of a prompt."""
    found = re.findall(rf"^{name} = .*$", text, re.MULTILINE)
    assert found, f"no {name} in the prompt"
    return str(found[0])


def narrow(messages: list[dict[str, str]], number: int) -> str:
    """An edit that no other call gives: the bias of the toy genome, moved a little towards its best value."""
    if len(messages) == 1:  # a conflict
        first = re.findall(r"## First parent.*?```python\n(.*?)```", messages[0]["content"], re.DOTALL)[0]
        return f"Idea: keep the first.\n\n```python\n{first}```\n"
    old = constant("BIAS", messages[1]["content"])
    value = float(old.split("=")[1].split("#")[0])
    new = f"BIAS = {value - 0.01 * (1 + number % 7) - number / 1e6:.7f}  # range: -1..1"
    return BLOCK.format(idea=f"Move the bias to where reply {number} wants it.", old=old, new=new)


class ModelServer:
    """Serves chat completions by `answers[model]`; keeps what it was asked."""

    def __init__(
        self, httpserver: HTTPServer, answers: dict[str, Answer], *, key: str | None = None, wait: float = 0
    ) -> None:
        self.answers = answers
        self.requests: list[dict[str, Any]] = []
        self.down = False
        self._key = key
        self._wait = wait
        self._numbers = itertools.count()
        self.url = httpserver.url_for("/v1")
        httpserver.expect_request(PATH, method="POST").respond_with_handler(self._handle)

    def asked(self, model: str) -> list[str]:
        """The last message of each request to a model, without the probes."""
        asked = [one["messages"] for one in self.requests if one["model"] == model]
        return [messages[-1]["content"] for messages in asked if messages[-1]["content"] != PROBE]

    def _handle(self, request: Request) -> Response:
        if self.down:
            return Response('{"error": {"message": "down for now"}}', 503, {"Retry-After": "30"})
        if self._key is not None and request.headers.get("Authorization") != f"Bearer {self._key}":
            return Response('{"error": {"message": "no such key"}}', 401)
        asked = request.get_json()
        if asked["model"] not in self.answers:
            return Response('{"error": {"message": "no such model"}}', 404)
        self.requests.append(asked)
        messages = asked["messages"]
        text = "ok"
        if messages[-1]["content"] != PROBE:
            time.sleep(self._wait)
            text = self.answers[asked["model"]](messages, next(self._numbers))
        sent = sum(len(message["content"]) for message in messages) // 4
        usage = {"prompt_tokens": sent, "completion_tokens": len(text) // 4, "total_tokens": 0}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": asked["model"]}
        return Response(json.dumps({**body, "choices": [choice], "usage": usage}), content_type="application/json")
