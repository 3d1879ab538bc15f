"""The client against a real HTTP server that speaks, or mis-speaks, the chat-completions protocol."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from evolve.errors import UserError
from evolve.llm import client as client_module
from evolve.llm.client import Client, Completion
from evolve.llm.faults import Fault, ModelError
from evolve.llm.model import Model

KEY = "sk-never-to-be-shown-1234567890"
MESSAGES = [{"role": "user", "content": "Mutate this."}]
PATH = "/v1/chat/completions"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}


def answer(content: Any = "fine", reason: str = "stop", usage: Any = USAGE, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": reason}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def chunks(*texts: str, reason: str | None = "stop", usage: Any = USAGE, done: bool = True) -> Iterator[str]:
    base = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    for text in texts:
        yield f"data: {json.dumps({**base, 'choices': [{'index': 0, 'delta': {'content': text}}]})}\n\n"
    yield f"data: {json.dumps({**base, 'choices': [{'index': 0, 'delta': {}, 'finish_reason': reason}]})}\n\n"
    yield f"data: {json.dumps({**base, 'choices': [], 'usage': usage})}\n\n"
    if done:
        yield "data: [DONE]\n\n"


def client(server: HTTPServer, *, timeout: float = 5.0, retries: int = 2, **model: Any) -> Client:
    environment = {"KEY_OF_A": KEY, "OPENAI_BASE_URL": server.url_for("/v1")}
    return Client(Model("a", key_variable="KEY_OF_A", **model), environment, timeout=timeout, retries=retries)


def ask(client: Client, **options: Any) -> Completion:
    return client.complete(MESSAGES, max_tokens=100, **options)


def fault(client: Client, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        ask(client, **options)
    error = caught.value
    assert KEY not in f"{error} {error!r} {error.__dict__}"
    assert "model 'a' at http://localhost" in str(error)
    assert str(error).endswith(".")
    assert error.__suppress_context__ or error.__context__ is None
    return error


def test_an_answer_is_counted_and_priced(httpserver: HTTPServer) -> None:
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 400}}
    httpserver.expect_ordered_request(
        PATH, json={"model": "a", "messages": MESSAGES, "max_tokens": 100}, headers={"Authorization": f"Bearer {KEY}"}
    ).respond_with_json(answer(usage=usage))
    got = ask(client(httpserver, input_price=2.0, output_price=10.0, cached_price=0.5))
    assert (got.text, got.finish_reason, got.input_tokens, got.output_tokens) == ("fine", "stop", 1000, 200)
    assert got.cached_tokens == 400
    assert got.cost == pytest.approx((600 * 2.0 + 400 * 0.5 + 200 * 10.0) / 1e6)
    assert got.counted
    assert 0 < got.seconds < 5


def test_an_unknown_price_is_an_unknown_cost(httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_json(answer())
    got = ask(client(httpserver))
    assert (got.cost, got.input_tokens, got.counted) == (None, 1000, True)


def test_tokens_that_are_not_told_are_estimated_and_not_priced(httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_json(answer("four score", usage=None))
    got = ask(client(httpserver, input_price=1.0, output_price=1.0))
    assert (got.input_tokens, got.output_tokens, got.cost, got.counted) == (4, 3, None, False)


def test_a_stream_gives_what_a_whole_answer_gives(httpserver: HTTPServer) -> None:
    wanted: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    wanted |= {"model": "a", "messages": MESSAGES, "max_tokens": 100}
    httpserver.expect_request(PATH, json=wanted).respond_with_response(
        Response(chunks("fi", "ne", reason="length"), content_type="text/event-stream")
    )
    got = ask(client(httpserver, input_price=2.0, output_price=10.0), stream=True)
    assert (got.text, got.finish_reason, got.input_tokens, got.output_tokens) == ("fine", "length", 1000, 200)
    assert got.cost == pytest.approx(0.004)


@pytest.mark.parametrize("message", [{"content": None}, {"content": ["parts"]}, {}, "text"])
def test_an_answer_without_text_is_empty(httpserver: HTTPServer, message: Any) -> None:
    httpserver.expect_request(PATH).respond_with_json({"choices": [{"message": message}], "usage": "many"})
    assert ask(client(httpserver)).text == ""


def test_a_refusal_is_told_as_a_filtered_answer(httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_json(answer(None, refusal="No."))
    got = ask(client(httpserver))
    assert (got.text, got.finish_reason) == ("No.", "content_filter")


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, Fault.WRONG_KEY, "KEY_OF_A"),
        (403, Fault.WRONG_KEY, "KEY_OF_A"),
        (404, Fault.NOT_FOUND, "404"),
        (400, Fault.REFUSED, "too long"),
        (402, Fault.REFUSED, "402"),
    ],
)
def test_what_no_retry_mends_is_not_retried(httpserver: HTTPServer, status: int, kind: Fault, words: str) -> None:
    """The endpoint repeats the key in its own words, as some do."""
    body = {"error": {"message": f"Prompt too long. Your key {KEY}", "type": "t", "code": "c"}}
    httpserver.expect_request(PATH).respond_with_json(body, status=status)
    error = fault(client(httpserver))
    assert error.kind is kind
    assert words in str(error)
    assert error.rest_seconds >= 60
    assert len(httpserver.log) == 1


def test_the_probe_tells_a_wrong_key_in_one_sentence(httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_json({"error": {"message": "bad"}}, status=401)
    with pytest.raises(ModelError, match=r"does not accept the key in KEY_OF_A \(401\)\.$"):
        client(httpserver).probe()


def test_the_probe_is_tiny_and_takes_any_answer(httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_json(answer("", "length"))
    assert client(httpserver).probe().finish_reason == "length"
    assert json.loads(httpserver.log[0][0].data)["max_tokens"] == 16


def test_a_long_retry_after_rests_the_arm_instead_of_the_thread(httpserver: HTTPServer) -> None:
    body = '{"error": {"message": "slow down"}}'
    httpserver.expect_request(PATH).respond_with_response(Response(body, 429, {"Retry-After": "77"}))
    error = fault(client(httpserver))
    assert (error.kind, error.rest_seconds) == (Fault.RATE_LIMITED, 77.0)
    assert len(httpserver.log) == 1


def test_retry_after_may_be_a_date_or_nonsense(httpserver: HTTPServer) -> None:
    date = formatdate(time.time() + 500, usegmt=True)
    httpserver.expect_ordered_request(PATH).respond_with_response(Response("", 429, {"Retry-After": date}))
    httpserver.expect_ordered_request(PATH).respond_with_response(Response("", 429, {"Retry-After": "soon"}))
    assert 490 < fault(client(httpserver)).rest_seconds <= 500
    assert fault(client(httpserver, retries=0)).rest_seconds == 60


def test_a_short_retry_after_is_waited_for(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request(PATH).respond_with_response(Response("{}", 429, {"Retry-After": "0.05"}))
    httpserver.expect_ordered_request(PATH).respond_with_json(answer())
    assert ask(client(httpserver)).text == "fine"


def test_a_server_error_is_retried_by_the_sdk(httpserver: HTTPServer) -> None:
    soon = {"Retry-After": "0.05"}
    httpserver.expect_ordered_request(PATH).respond_with_response(Response("oops", 500, soon))
    httpserver.expect_ordered_request(PATH).respond_with_response(Response("oops", 503, soon))
    httpserver.expect_ordered_request(PATH).respond_with_json(answer())
    assert ask(client(httpserver)).text == "fine"


def test_a_server_error_that_stays_is_told(httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_response(Response("oops", 500, {"Retry-After": "0.05"}))
    error = fault(client(httpserver, retries=1))
    assert error.kind is Fault.SERVER
    assert len(httpserver.log) == 2


@pytest.mark.parametrize(
    "response",
    [
        Response("{not json", content_type="application/json"),
        Response("<html>welcome</html>", content_type="text/html"),
        Response("[]", content_type="application/json"),
        Response('"text"', content_type="application/json"),
        Response("null", content_type="application/json"),
        Response('{"choices": []}', content_type="application/json"),
        Response('{"choices": null}', content_type="application/json"),
        Response('{"choices": [{}]}', content_type="application/json"),
        Response('{"choices": [null]}', content_type="application/json"),
        Response('{"choices": 5}', content_type="application/json"),
        Response('{"choices": [5]}', content_type="application/json"),
        Response('{"choices": [{"message": null}]}', content_type="application/json"),
        Response("", content_type="application/json"),
        Response(b"\xff\xfe\x00{", content_type="application/json"),
    ],
    ids=lambda response: response.data[:20],
)
def test_what_is_not_the_protocol_is_an_invalid_reply(httpserver: HTTPServer, response: Response) -> None:
    httpserver.expect_request(PATH).respond_with_response(response)
    assert fault(client(httpserver)).kind is Fault.INVALID_REPLY


@pytest.mark.parametrize(
    "body",
    [
        "data: {not json\n\n",
        "data: [DONE]\n\n",
        "",
        'data: {"error": {"message": "overloaded"}}\n\n',
        'data: []\n\n',
        'data: {"choices": []}\n\ndata: [DONE]\n\n',
        'data: {"choices": 5}\n\n',
    ],
)  # fmt: skip
def test_a_stream_that_is_not_the_protocol_is_an_invalid_reply(httpserver: HTTPServer, body: str) -> None:
    httpserver.expect_request(PATH).respond_with_data(body, content_type="text/event-stream")
    assert fault(client(httpserver), stream=True).kind is Fault.INVALID_REPLY


def test_a_parameter_of_the_new_name_is_used_where_it_is_asked_for(httpserver: HTTPServer) -> None:
    body = {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}
    httpserver.expect_ordered_request(PATH).respond_with_json(body, status=400)
    httpserver.expect_ordered_request(PATH).respond_with_json(answer())
    httpserver.expect_ordered_request(PATH).respond_with_json(answer())
    one = client(httpserver)
    assert ask(one).text == ask(one).text == "fine"
    sent = [json.loads(request.data) for request, _ in httpserver.log]
    assert [set(body) & {"max_tokens", "max_completion_tokens"} for body in sent[1:]] == [{"max_completion_tokens"}] * 2


def test_a_slow_answer_is_a_timeout(httpserver: HTTPServer) -> None:
    def sleep(_: Request) -> Response:
        time.sleep(0.6)
        return Response("{}")

    httpserver.expect_request(PATH).respond_with_handler(sleep)
    started = time.monotonic()
    error = fault(client(httpserver, timeout=0.3))
    assert error.kind is Fault.TIMEOUT
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_trickles_is_a_timeout(httpserver: HTTPServer, stream: bool) -> None:
    """Each byte comes well within the time between bytes; only the whole is too slow."""

    def trickle() -> Iterator[str]:
        for _ in range(40):
            time.sleep(0.05)
            yield ": wait\n\n" if stream else " "

    kind = "text/event-stream" if stream else "application/json"
    httpserver.expect_request(PATH).respond_with_handler(lambda _: Response(trickle(), content_type=kind))
    error = fault(client(httpserver, timeout=0.3), stream=stream)
    assert error.kind is Fault.TIMEOUT
    assert len(httpserver.log) <= 1


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_without_end_is_cut_off(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    monkeypatch.setattr(client_module, "LARGEST_ANSWER", 100_000)
    piece = ": a comment\n\n" * 1000 if stream else " " * 10_000
    kind = "text/event-stream" if stream else "application/json"
    flood = Response(itertools.repeat(piece, 10_000), content_type=kind)
    httpserver.expect_request(PATH).respond_with_handler(lambda _: flood)
    error = fault(client(httpserver, timeout=60), stream=stream)
    assert error.kind is Fault.INVALID_REPLY and "more than 0.1 MB" in str(error)


class Dropping:
    """A socket that takes a request, sends `sent`, and hangs up."""

    def __init__(self, sent: bytes) -> None:
        self.sent = sent
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(10)

    def url(self) -> str:
        return f"http://localhost:{self.listener.getsockname()[1]}/v1"

    def serve(self, times: int) -> None:
        for _ in range(times):
            connection, _ = self.listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(self.sent)


@pytest.mark.parametrize(
    ("sent", "stream"),
    [
        (b"", False),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{", False),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 500\r\n\r\ndata: ", True),
        (b"SSH-2.0-OpenSSH\r\n", False),
    ],
)
def test_a_dropped_connection_is_told(sent: bytes, stream: bool) -> None:
    server = Dropping(sent)
    thread = threading.Thread(target=server.serve, args=(1,))
    thread.start()
    one = Client(Model("a", server.url()), {"OPENAI_API_KEY": KEY}, timeout=5, retries=0)
    assert fault(one, stream=stream).kind is Fault.CONNECTION
    thread.join()
    server.listener.close()


def test_an_unreachable_endpoint_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    one = Client(Model("a", f"http://localhost:{port}/v1"), {"OPENAI_API_KEY": KEY}, retries=0)
    error = fault(one)
    assert error.kind is Fault.CONNECTION
    assert "cannot be reached" in str(error)


def test_the_key_is_in_no_repr(httpserver: HTTPServer) -> None:
    one = client(httpserver)
    assert KEY not in f"{one!r} {one} {one.model!r}"
    assert "model 'a'" in repr(one)


def test_a_password_in_the_url_is_not_shown(httpserver: HTTPServer) -> None:
    url = httpserver.url_for("/v1").replace("http://", "http://user:secret@")
    one = Client(Model("a", url), {"OPENAI_API_KEY": KEY}, retries=0)
    assert "secret" not in f"{one!r} {fault(one)}"


@pytest.mark.parametrize("value", ["", "  ", "two words", "kéy", "line\nfeed"])
def test_a_key_that_cannot_be_one_is_told_without_showing_it(value: str) -> None:
    with pytest.raises(UserError, match="KEY_OF_A") as caught:
        Client(Model("a", key_variable="KEY_OF_A"), {"KEY_OF_A": value})
    assert not value.strip() or value not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["localhost:8000/v1", "ftp://host/v1", "http://", "http://host:port/v1", "http://[::1/v1"]
)
def test_a_url_that_cannot_be_one_is_told(url: str) -> None:
    with pytest.raises(UserError, match=r"base URL of model 'a' is not an address"):
        Model("a", url)
    with pytest.raises(UserError, match="OPENAI_BASE_URL is not an address"):
        Client(Model("a"), {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url})


@pytest.mark.parametrize(
    "values",
    [
        {"weight": 0},
        {"weight": float("nan")},
        {"input_price": -1, "output_price": 1},
        {"input_price": 1},
        {"name": " "},
    ],
)
def test_a_model_that_cannot_be_is_told(values: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        Model(**{"name": "a", **values})
