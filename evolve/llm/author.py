"""Writes one offspring with a model, in a thread: ask, read, apply, check, and once more with the error."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evolve.bandit import Arm
from evolve.evaluation.trial import Cancelled
from evolve.individual import Individual, Offspring
from evolve.llm.budget import Budget, Reservation
from evolve.llm.client import Client, Completion
from evolve.llm.faults import ModelError
from evolve.llm.markdown import quote
from evolve.llm.model import Model
from evolve.llm.prompting import Prompts
from evolve.llm.rejection import Kind, ReplyRejected
from evolve.llm.replies import apply, join_continuation, read_reply
from evolve.llm.tokens import upper_bound
from evolve.variation.source import Unparsable, normalise, same_program

OUTPUT_TOKENS = 8192  # the most that one reply may have
CONTINUED_FROM = 400  # characters of a reply that was cut off, shown to the model
LONGEST_ERROR = 4000  # characters of what went wrong, told in a request for a repair
HOPELESS = (Kind.REFUSAL, Kind.UNUSED)  # no repair is asked for after these

Message = Mapping[str, str]


class NoRoom(Exception):  # noqa: N818 - an ordinary answer of the budget
    """The caps leave no room for another request."""


@dataclass(frozen=True, eq=False)
class Job:
    """An offspring to be written by `write`. `reservation`: room in the budget for the first request."""

    arm: Arm
    client: Client
    parents: tuple[Individual, ...]  # the fitter one first
    genome: str  # the first parent's
    messages: Sequence[Message]
    reservation: Reservation | None
    write: Callable[[Conversation], Offspring]
    asked: float  # reading of the monotonic clock


@dataclass(eq=False)
class Draft:
    """What came of a job: an offspring, or why there is none; and every exchange, as it is archived."""

    job: Job
    exchanges: list[dict[str, Any]] = field(default_factory=list)
    offspring: Offspring | None = None
    rejection: ReplyRejected | None = None
    fault: ModelError | None = None

    @property
    def cost(self) -> dict[str, float]:
        """Tokens of all exchanges, and money where all of it is known."""
        return total_cost(self.exchanges)

    def reject(self, rejection: ReplyRejected) -> None:
        self.rejection = rejection
        self.offspring = None
        if self.exchanges:
            self.exchanges[-1] |= {"rejection": rejection.kind.value, "reason": rejection.reason}


def total_cost(exchanges: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Input and output tokens of some exchanges, and "money" where the cost of each is known."""
    cost: dict[str, float] = {
        name: sum(exchange[name] for exchange in exchanges) for name in ("input_tokens", "output_tokens")
    }
    money = [exchange["cost"] for exchange in exchanges]
    return cost if None in money else cost | {"money": sum(money)}


class Conversation:
    """The exchanges of one job: each within the budget, each recorded."""

    def __init__(self, job: Job, prompts: Prompts, budget: Budget) -> None:
        self.job = job
        self.draft = Draft(job)
        self._prompts = prompts
        self._budget = budget
        self._reservation: Reservation | None = job.reservation
        self._sent: list[Message] = []  # what an exchange's record holds already

    def ask(self, messages: Sequence[Message]) -> Completion:
        """The model's answer. Raises ModelError and NoRoom."""
        job = self.job
        reservation = self._reservation or set_aside(self._budget, job.client.model, messages)
        self._reservation = None
        if reservation is None:
            raise NoRoom
        began = time.time()
        try:
            completion = job.client.complete(messages, max_tokens=OUTPUT_TOKENS)
        except ModelError as error:
            lost = reservation if error.may_have_cost else Reservation(0, 0.0 if job.client.model.priced else None)
            if error.may_have_cost:
                self._budget.forfeit(reservation)
            else:
                self._budget.release(reservation)
            self.record(messages, began, input_tokens=lost.tokens, cost=lost.cost, fault=error.kind.value)
            raise
        tokens = completion.input_tokens + completion.output_tokens
        self._budget.settle(reservation, tokens, completion.cost)
        self.record(messages, began, **exchange_figures(completion, reservation), reply=completion.text)
        return completion

    def answer(self, messages: Sequence[Message]) -> tuple[str, str | None]:
        """A whole reply and its finish reason; one that was cut off is continued once."""
        completion = self.ask(messages)
        if completion.finish_reason != "length":
            return completion.text, completion.finish_reason
        request = self._prompts.render("continue", {"tail": completion.text[-CONTINUED_FROM:]})
        try:
            more = self.ask([*messages, _said("assistant", completion.text), _said("user", request)])
        except NoRoom:
            return completion.text, completion.finish_reason
        return join_continuation(completion.text, more.text), more.finish_reason

    def record(self, messages: Sequence[Message], began: float, **figures: object) -> None:
        """The messages that no earlier record of this job holds, so that the source is archived once."""
        arm = self.job.arm
        pairs = zip(self._sent, messages, strict=False)
        known = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        self._sent = list(messages)
        self.draft.exchanges.append(
            {
                "time": round(began, 3),
                "model": arm.model,
                "operator": arm.operator,
                "intent": arm.intent,
                "prompts": self._prompts.version,
                "turn": len(self.draft.exchanges),
                "messages": [dict(message) for message in messages[known:]],
                "reply": "",
                "input_tokens": 0,
                "output_tokens": 0,
                "cost": None,
                "seconds": round(time.time() - began, 3),
                **figures,
            }
        )


def exchange_figures(completion: Completion, reservation: Reservation | None = None) -> dict[str, Any]:
    """Tokens, cost and ending as an exchange's record has them. An untold cost under a price is all reserved."""
    reserved = reservation.cost if reservation else None
    return {
        "finish_reason": completion.finish_reason,
        "input_tokens": completion.input_tokens,
        "output_tokens": completion.output_tokens,
        "cached_tokens": completion.cached_tokens,
        "counted": completion.counted,
        "cost": reserved if completion.cost is None else completion.cost,
        "seconds": round(completion.seconds, 3),
    }


def set_aside(budget: Budget, model: Model, messages: Sequence[Message]) -> Reservation | None:
    """Room for a request and the longest reply to it; None where there is none now."""
    sent = upper_bound(messages)
    return budget.reserve(sent + OUTPUT_TOKENS, model.cost_bound(sent, OUTPUT_TOKENS))


def abandoned(job: Job, prompts: Prompts) -> Draft:
    """The draft of a job whose reply nobody waited for: all that was reserved for it counts as spent."""
    conversation = Conversation(job, prompts, Budget())
    if job.reservation is not None:
        conversation.record(job.messages, time.time(), input_tokens=job.reservation.tokens, cost=job.reservation.cost)
        conversation.draft.reject(ReplyRejected(Kind.UNUSED, "the search ended before the reply came."))
    return conversation.draft


class Author:
    """Makes drafts of jobs. One for all threads."""

    def __init__(
        self,
        prompts: Prompts,
        budget: Budget,
        *,
        repairs: int,
        repeated: Callable[[str, str], Individual | None],
        dry_run: Callable[[str], str] | None,
    ) -> None:
        """`repairs`: rounds with the error. `repeated(parent, child)`: the individual that was there before.

        `dry_run(genome)`: why it does not run, or an empty text; None: not looked at.
        """
        self._prompts = prompts
        self._budget = budget
        self._repairs = repairs
        self._repeated = repeated
        self._dry_run = dry_run

    def write(self, job: Job) -> Draft:
        """Do a job to its end. Raises nothing that a model or a reply can cause."""
        conversation = Conversation(job, self._prompts, self._budget)
        draft = conversation.draft
        try:
            draft.offspring = job.write(conversation)
        except ReplyRejected as rejection:
            draft.reject(rejection)
        except ModelError as error:
            draft.fault = error
            draft.reject(ReplyRejected(Kind.UNWRITTEN, error.message))
        except NoRoom:
            draft.reject(ReplyRejected(Kind.UNWRITTEN, "the budget left no room for another request."))
        except Cancelled as error:
            draft.reject(ReplyRejected(Kind.UNUSED, f"{error}."))
        return draft

    def mutation(self, conversation: Conversation) -> Offspring:
        """A mutation of the job's parent. Raises ReplyRejected and ModelError."""
        job, draft = conversation.job, conversation.draft
        messages = list(job.messages)
        rejected: ReplyRejected | None = None
        for round in range(self._repairs + 1):
            try:
                text, finish = conversation.answer(messages)
            except NoRoom:
                if rejected is None:
                    raise
                raise rejected from None
            try:
                reply = read_reply(text, finish)
                child = normalise(apply(reply.edit, job.genome))
                self.check(child, job.genome)
                break
            except ReplyRejected as rejection:
                if round == self._repairs or rejection.kind in HOPELESS:
                    raise
                rejected = rejection
                against = "the script as it was first given to you"
                # It may hold what the script printed, and ideas of others: a quotation like any other.
                error = quote(rejection.reason, "text", LONGEST_ERROR)
                request = self._prompts.render("repair", {"error": error, "against": against})
                messages += [_said("assistant", text), _said("user", request)]
                draft.exchanges[-1] |= {"repaired": rejection.kind.value, "reason": rejection.reason}
        parent = job.parents[0]
        body = [f"Hypothesis: {reply.hypothesis}"] if reply.hypothesis else []
        body += [f"Expected: {reply.expected}"] if reply.expected else []
        intent = str(job.arm.intent)
        return Offspring(
            child,
            (parent.id,),
            intent,
            reply.idea or f"{intent.capitalize()}, without a stated idea",
            parent.generation + 1,
            model=job.arm.model,
            cost=draft.cost,
            body="\n".join(body),
        )

    def check(self, child: str, parent: str) -> None:
        """Raise ReplyRejected for a child that is not worth a box, and Cancelled where the search ends."""
        try:
            same = same_program(child, parent)
        except Unparsable as error:
            raise ReplyRejected(Kind.UNPARSABLE, f"the file after the edit cannot be compared: {error}.") from error
        if same:
            raise ReplyRejected(Kind.NO_OP, "the edit changes only comments or formatting: the program is the same.")
        known = self._repeated(parent, child)
        if known is not None:
            raise ReplyRejected(
                Kind.REPEATED, f"this was tried before, as '{known.idea}' (#{known.id}): propose something else."
            )
        if self._dry_run is not None and (trouble := self._dry_run(child)):
            raise ReplyRejected(Kind.DOES_NOT_RUN, trouble)


def _said(role: str, content: str) -> Message:
    return {"role": role, "content": content}
