"""How long each phase of a trial may take, by the harness's clock."""

from __future__ import annotations

from evolve.evaluation.report import Phase, Report
from evolve.evaluation.trial import Trial


def deadline(trial: Trial, report: Report, started: float) -> tuple[float, str]:
    """When the present phase must be over (same clock as `started`), and what to say where it is not."""
    if trial.score == "printed":
        return started + trial.overall_cap, f"still running after {trial.overall_cap:g} s, its overall cap"
    if report.phase is Phase.STARTUP or report.opened is None:
        return (
            started + trial.startup,
            f"asked for no batch within {trial.startup:g} s, the cap on its start-up",
        )
    if report.phase is Phase.TRAINING or report.closed is None:
        return (
            report.opened + trial.time_box + trial.grace,
            f"still training {trial.grace:g} s after its box of {trial.time_box:g} s",
        )
    state = "had not ended" if report.finished else "was not scored"
    return report.closed + trial.scoring, f"{state} {trial.scoring:g} s after its box, the cap on scoring"
