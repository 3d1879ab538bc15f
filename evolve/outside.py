"""`ask` and `tell`: a person, or another program, writes offspring for a search that runs, or will run again."""

from __future__ import annotations

import difflib
import shlex
import sys
from pathlib import Path

from evolve import arena as arenas
from evolve.archive.repository import Archive
from evolve.errors import UserError
from evolve.inbox import Inbox
from evolve.individual import Individual
from evolve.llm.agent import INTENTS
from evolve.llm.briefing import brief
from evolve.llm.context import mutation_messages
from evolve.llm.edits import WholeFile
from evolve.llm.ideas import LONGEST_IDEA
from evolve.llm.prompting import MAX_TOKENS, Prompts
from evolve.llm.replies import Reply, ReplyRejected, apply, read_reply
from evolve.llm.tokens import estimate
from evolve.randomness import generator
from evolve.rundir import RunDirectory
from evolve.selection import tournament
from evolve.summary import duration
from evolve.tickets import Ticket, Tickets, new_id
from evolve.toolbox import TOURNAMENT_SIZE
from evolve.variation.source import compiles, normalise

EXPIRES = 24.0  # hours


def ask(
    run: str,
    *,
    intent: str | None = None,
    expires: float = EXPIRES,
    program: str | None = None,
    arena: str | None = None,
) -> tuple[str, Ticket]:
    """A parent's prompt as Markdown, and the ticket that an answer to it needs.

    The parent wins a tournament on the population, drawn with randomness of the ticket's own: asking changes nothing
    in the search. `intent` None: drawn. `program`: a file with the user's direction. Raises UserError.
    """
    if intent not in (None, *INTENTS):
        raise UserError(f"--intent '{intent}' must be one of {', '.join(INTENTS)}.")
    if not 0 < expires <= 24 * 3650:
        raise UserError(f"--expires {expires:g}: must be a number of hours above zero.")
    directory = RunDirectory.find(run)
    id = new_id()
    with Archive.open(directory.archive) as archive:
        state = archive.read_state()
        population = archive.elite()
        if not population:
            raise UserError(
                f"No individual of {directory.path} has a score yet, so there is no parent to hand out. "
                "Start the search, and ask again when its first evaluation has ended."
            )
        rng = generator(state["seed"], len(archive.individuals), f"ask {id}")
        parent = tournament(population, rng, TOURNAMENT_SIZE)
        intent = intent or rng.choice(INTENTS)
        context = brief(archive, population, parent, intent, arenas.of_run(state, arena), _program(program))
        prompts = Prompts()
        bound = max(MAX_TOKENS, 2 * estimate(context.source))  # a person can read more than a model is sent
        system, user = (message["content"] for message in mutation_messages(prompts, context, bound))
        try:
            ticket = Tickets(directory.tickets).issue(id, parent.id, parent.commit, intent, expires)
        except OSError as error:
            raise UserError(f"The ticket could not be written: {error.strerror or error}.") from error
        top = {
            "individual": f"#{parent.id}",
            "script": state["script"],
            "ticket": ticket.id,
            "command": f"python -m evolve tell {shlex.quote(str(directory.path))} {ticket.id}",
            "valid": duration(expires * 3600),
        }
        return "\n".join([prompts.render("outside", top), system, user]), ticket


def tell(run: str, id: str, file: str, *, idea: str = "") -> str:
    """Take an answer to a ticket as an offspring; returns what happens to it, in words.

    `file` ("-": standard input) holds SEARCH/REPLACE blocks, a unified diff or the whole file, with prose around; a
    file that ends in .py is the whole file. Raises UserError, the ticket then being as good as before.
    """
    directory = RunDirectory.find(run)
    tickets, inbox = Tickets(directory.tickets), Inbox(directory)
    ticket = tickets.find(id)
    text = _read(file)
    with Archive.open(directory.archive) as archive:
        _check_open(tickets, inbox, ticket, archive)
        parent = archive.individuals.get(ticket.individual)
        if parent is None or parent.commit != ticket.commit:
            raise UserError(f"The ticket {id} is of another archive than {directory.archive}. Ask for another one.")
        reply, genome = _apply(text, file, parent)
        known = archive.find(genome)
        if known is not None:
            raise UserError(
                f"Individual #{known} is this very script: it was tried before, and would be measured for nothing. "
                f"`python -m evolve show {run} {known}` says how it did. The ticket stays valid."
            )
        body = "\n".join(
            f"{name}: {said}" for name, said in (("Hypothesis", reply.hypothesis), ("Expected", reply.expected)) if said
        )
        said = " ".join(idea.split())[:LONGEST_IDEA] or reply.idea or _counted(parent.genome, genome)
        try:
            with tickets.lock():
                _check_open(tickets, inbox, tickets.find(id), archive)
                inbox.put(ticket, genome, said, body)
        except OSError as error:
            raise UserError(f"The offspring could not be kept: {error.strerror or error}.") from error
    return (
        f"Taken as an offspring of #{parent.id}: {said}\nAn engine that runs on {directory.path} evaluates it next; "
        "otherwise the next one does (with a larger --gens where its plan is done)."
    )


def _check_open(tickets: Tickets, inbox: Inbox, ticket: Ticket, archive: Archive) -> None:
    """Raise UserError unless the ticket is still to be answered.

    The inbox is looked at first: an engine marks the ticket before it removes the entry.
    """
    waits = inbox.holds(ticket)
    ticket = tickets.find(ticket.id)
    if waits:
        raise UserError(f"The ticket {ticket.id} was answered already: its offspring waits for an engine. Ask again.")
    if ticket.offspring is not None:
        raise UserError(f"The ticket {ticket.id} was answered already: it became #{ticket.offspring}. Ask again.")
    if ticket.stale:
        newer = len(archive.individuals) - 1 - ticket.individual
        raise UserError(
            f"The ticket {ticket.id} has expired. Its parent #{ticket.individual} is of {newer} births ago. Ask again, "
            "and give --expires HOURS for a ticket that lives longer."
        )


def _apply(text: str, file: str, parent: Individual) -> tuple[Reply, str]:
    try:
        reply = Reply("", "", "", WholeFile(text)) if file.endswith(".py") else read_reply(text)
        genome = normalise(apply(reply.edit, parent.genome))
    except ReplyRejected as error:
        raise UserError(
            f"This edit of #{parent.id} cannot be taken ({error.kind}): {error.reason} The ticket stays valid."
        ) from error
    if not compiles(genome):
        raise UserError(
            f"This edit of #{parent.id} cannot be taken: Python does not compile the result. The ticket stays valid."
        )
    return reply, genome


def _counted(before: str, after: str) -> str:
    lines = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]
    added = sum(line[0] == "+" for line in lines)
    return f"An edit from outside: {added} lines added, {len(lines) - added} removed"


def _read(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise UserError(f"'{file}' cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"'{file}' is not UTF-8 text: {error}.") from error


def _program(file: str | None) -> str:
    return _read(file) if file else ""
