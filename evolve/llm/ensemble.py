"""The models of a search: named by flags and files, checked by one tiny request each before anything else runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from evolve.errors import UserError
from evolve.llm.client import Client, Completion
from evolve.llm.faults import Fault, ModelError
from evolve.llm.model import Model
from evolve.llm.pool import Pool

FATAL = (Fault.WRONG_KEY, Fault.NOT_FOUND)  # nothing but the user can mend these


class Ensemble:
    """The models' clients. Raises UserError for a missing key or a bad URL."""

    def __init__(self, models: Sequence[Model], environment: Mapping[str, str] = os.environ) -> None:
        self.models = {model.name: model for model in models}
        self.clients = {model.name: Client(model, environment) for model in models}
        self.probes: dict[str, Completion] = {}
        self.absent: dict[str, ModelError] = {}  # models that did not answer when they were probed

    def probe(self) -> None:
        """One tiny request to each model. Raises UserError for a wrong key or name, and where none answers."""
        pool: Pool[str, tuple[str, Completion | ModelError]] = Pool(self._probe, len(self.clients))
        for name in self.clients:
            pool.submit(name)
        answers = {}
        while pool.in_flight:  # Ctrl-C ends this: nobody waits for those threads
            if (answered := pool.ready(wait=1.0)) is not None:
                answers[answered[0]] = answered[1]
        pool.close()
        for name in self.clients:
            answer = answers[name]
            if isinstance(answer, ModelError):
                self.absent[name] = answer
            else:
                self.probes[name] = answer
        for error in self.absent.values():
            if error.kind in FATAL:
                raise UserError(error.message)
        if not self.probes:
            raise UserError(" ".join(error.message for error in self.absent.values()))

    def _probe(self, name: str) -> tuple[str, Completion | ModelError]:
        try:
            return name, self.clients[name].probe()
        except ModelError as error:
            return name, error

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


def named(text: str) -> Model:
    """The model of 'NAME' or 'NAME@WEIGHT'. Raises UserError."""
    name, mark, weight = text.strip().rpartition("@")
    if mark:
        try:
            return Model(name, weight=float(weight))
        except ValueError:  # the '@' belongs to the name
            pass
    return Model(text.strip())


def table(values: Mapping[str, Any]) -> Model:
    """The model of a [[models]] table. Raises UserError."""
    known = {
        field.name: str if field.name in ("name", "base_url", "key_variable") else float for field in fields(Model)
    }
    for key, value in values.items():
        if key not in known:
            raise UserError(f"A [[models]] table has an unknown key '{key}'. Known: {', '.join(known)}.")
        if not isinstance(value, str if known[key] is str else (int, float)):
            kind = "text" if known[key] is str else "a number"
            raise UserError(f"A [[models]] table has {key} = {value!r}, which is not {kind}.")
    if "name" not in values:
        raise UserError("A [[models]] table has no name.")
    converted: dict[str, Any] = {key: known[key](value) for key, value in values.items()}
    return Model(**converted)


def chosen(names: Sequence[str], tables: Sequence[Model]) -> tuple[Model, ...]:
    """The models to use: those named, with what the tables say of them; without names, those of the tables.

    Raises UserError for one that is given twice.
    """
    described = {model.name: model for model in tables}
    models = []
    for text in names:
        model = named(text)
        if model.name in described:
            weight = model.weight if model.name != text.strip() else described[model.name].weight
            model = replace(described[model.name], weight=weight)
        models.append(model)
    models = models if names else list(tables)
    for model in models:
        if sum(other.name == model.name for other in models) > 1:
            raise UserError(f"Model '{model.name}' is given twice.")
    return tuple(models)
