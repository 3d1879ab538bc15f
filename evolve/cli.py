"""The command line, nothing else; heavy imports wait until a command needs them, so that --help is quick."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from evolve import settings as settings_module
from evolve.arguments import ARENA, REF, RUN
from evolve.errors import UserError
from evolve.lineages import commands as lineage_commands
from evolve.settings import Settings

COMMANDS = ("status", "watch", "show", "confirm", "audit", "export", "ask", "tell", "doctor")  # and those of lineages
DESCRIPTION = f"""\
Evolves a training script: offspring are written, trained for a fixed time box each, and selected on
validation bits per byte. Every individual is a commit in DIR/archive.git.

  python -m evolve --pop 8 --gens 50         start a search, or continue it
  python -m evolve status RUN                how far it is, what was found
  python -m evolve watch RUN                 the same and more in a browser, kept up to date while the search runs
  python -m evolve show RUN REF              one individual: its idea, diff and evaluations
  python -m evolve confirm RUN [REF ...]     fresh runs of the champion, or of others, and of the seed genome
  python -m evolve audit RUN [REF]           run it once more with every check there is (the champion)
  python -m evolve export RUN FILE           all evaluations as .csv or .parquet
  python -m evolve ask RUN > prompt.md       write an offspring yourself: a parent, and how to answer
  python -m evolve tell RUN TICKET FILE      hand in the offspring: an edit, a diff or the whole script
  python -m evolve replay RUN REF            REF's ancestors again on fresh seeds: claimed against replayed
  python -m evolve ablate RUN REF            each step taken out of REF alone: what it contributes in the end
  python -m evolve prune RUN REF             the smallest genome within noise of REF
  python -m evolve transfer RUN REF ...      REF's steps on another script, size or time box
  python -m evolve bundle RUN REF FILE       REF's lineage for another person
  python -m evolve import PATH               a keep-or-discard history and its log as an archive
  python -m evolve doctor                    what works on this machine, and how to mend what does not

RUN is {RUN};
REF is {REF}.
"""
EPILOG = """\
Every flag can also be set as a variable (EVOLVE_TIME_BOX=10) or in the TOML file given by --config
(time_box = 10). Flags win over variables, variables over the file. Ctrl-C lets running boxes finish and
stops; the same command continues. Exit codes of all commands: 0 done or drained, 1 `audit` found something
wrong, 2 something for you to mend, 130 ended by a second Ctrl-C or by SIGTERM (`audit`: by any), with
everything saved: the same command continues.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 done or drained, 1 an audit that found something wrong, 2 something the user has to mend, 130 interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return _dispatch(arguments)
    except UserError as error:
        print(f"evolve: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `evolve show ... | head`
        sys.stderr.close()
        return 0


def _dispatch(arguments: list[str]) -> int:
    command = arguments[0] if arguments else ""
    if command == "status":
        options = _parser("status", "How far a run is, and what was found.", ["RUN"]).parse_args(arguments[1:])
        from evolve.inspect import status

        print(status(options.RUN))
    elif command == "watch":
        _watch(arguments[1:])
    elif command == "show":
        options = _parser("show", "One individual: idea, diff, evaluations.", ["RUN", "REF"]).parse_args(arguments[1:])
        from evolve.inspect import show

        print(show(options.RUN, options.REF))
    elif command == "confirm":
        parser = _parser("confirm", "Measure individuals (the champion) and the seed genome on fresh seeds.", ["RUN"])
        parser.add_argument("REF", nargs="*", help=f"{REF}; without one: champion")
        parser.add_argument("--replicates", metavar="K", type=int, default=4, help="fresh runs of each (4)")
        parser.add_argument("--workers", metavar="N", type=int, help="evaluations at once (as many as cores allow)")
        options = parser.parse_args(arguments[1:])
        from evolve.confirm import confirm

        return confirm(options.RUN, options.REF, options.replicates, options.workers)
    elif command == "audit":
        return _audit(arguments[1:])
    elif command == "export":
        about = (
            "Write every evaluation as a row. Its column `split` says on which part of the validation text it was "
            "scored, search or confirm: scores of two splits do not compare, and are not to be averaged."
        )
        options = _parser("export", about, ["RUN", "FILE"]).parse_args(arguments[1:])
        from evolve.inspect import export

        print(export(options.RUN, options.FILE))
    elif command == "ask":
        _ask(arguments[1:])
    elif command == "tell":
        _tell(arguments[1:])
    elif command == "doctor":
        _parser("doctor", "What works on this machine, and how to mend what does not.", []).parse_args(arguments[1:])
        from evolve.doctor import examine

        return examine()
    elif command in lineage_commands.COMMANDS:
        return lineage_commands.run(command, arguments[1:])
    elif command and not command.startswith("-"):
        near = difflib.get_close_matches(command, (*COMMANDS, *lineage_commands.COMMANDS), n=1)
        hint = f"Did you mean '{near[0]}'?" if near else "See python -m evolve --help."
        raise UserError(f"There is no command '{command}'. {hint}")
    else:
        flags = vars(search_parser().parse_args(arguments))
        config = flags.pop("config", None)
        if config == "":
            raise UserError("--config is empty: name a TOML file.")
        settings = settings_module.load(flags, None if config is None else Path(config))
        from evolve.run import run

        return run(settings, arguments)
    return 0


def _audit(arguments: list[str]) -> int:
    parser = _parser(
        "audit",
        "Check an individual: what its edits touch, and one more run whose model is tested, whose clock is compared "
        "with the kernel's accounts, and whose score is computed again in another process. Exit code 1: something is "
        "wrong.",
        ["RUN"],
    )
    parser.add_argument("REF", nargs="?", default="champion", help=f"{REF}; without one: champion")
    options = parser.parse_args(arguments)
    from evolve.audit import audit

    return audit(options.RUN, options.REF)


def _watch(arguments: list[str]) -> NoReturn:
    """Become `python -m analysis watch`: analysis imports evolve, and so evolve does not import analysis."""
    about = "Serve the report of a run on this machine alone, and keep it up to date while the search runs."
    parser = _parser("watch", about, ["RUN"])
    parser.add_argument("--port", metavar="N", type=int, default=8321, help="port on 127.0.0.1; 0: any free one (8321)")
    options = parser.parse_args(arguments)
    command = [sys.executable, "-m", "analysis", "watch", f"--port={options.port}", "--", options.RUN]
    os.execv(sys.executable, command)


def _ask(arguments: list[str]) -> None:
    parser = _parser("ask", "Print a parent and all that is known of it, for you to write its offspring.", ["RUN"])
    parser.add_argument("--intent", metavar="INTENT", help="tune, structure, simplify or radical (drawn)")
    parser.add_argument("--expires", metavar="HOURS", type=float, default=24.0, help="life of the ticket (24)")
    parser.add_argument("--program", metavar="FILE", help="your own research direction, to stand in the prompt")
    parser.add_argument("--arena", metavar="PATH", help=ARENA)
    options = parser.parse_args(arguments)
    from evolve.outside import ask

    prompt, ticket = ask(
        options.RUN,
        intent=options.intent,
        expires=options.expires,
        program=options.program,
        arena=options.arena,
    )
    print(prompt, end="")
    print(f"Ticket {ticket.id}, to change #{ticket.individual} ({ticket.intent})", file=sys.stderr)


def _tell(arguments: list[str]) -> None:
    parser = _parser("tell", "Hand in an offspring for a ticket of `ask`.", ["RUN", "TICKET"])
    parser.add_argument(
        "FILE", help="SEARCH/REPLACE blocks, a unified diff or the whole script, with prose around; -: standard input"
    )
    parser.add_argument("--idea", metavar="TEXT", default="", help="one sentence (as the file says it)")
    options = parser.parse_args(arguments)
    from evolve.outside import tell

    print(tell(options.RUN, options.TICKET, options.FILE, idea=options.idea))


def _parser(command: str, description: str, positionals: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m evolve {command}", description=description)
    meaning = {
        "RUN": RUN,
        "REF": REF,
        "TICKET": "as `ask` gave it",
        "FILE": "where to write; the ending says the format: .csv or .parquet",
    }
    for name in positionals:
        parser.add_argument(name, help=meaning[name])
    return parser


def search_parser() -> argparse.ArgumentParser:
    """The parser of the main job: one flag a field of Settings, absent from the result where not given."""
    parser = argparse.ArgumentParser(
        prog="python -m evolve",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    for f in fields(Settings):
        flag = "--" + f.name.replace("_", "-")
        default = "" if f.default in (None, False, ()) else f" ({f.default})"
        if not f.metadata["help"]:
            continue  # a table of the config file
        if f.default is False:
            parser.add_argument(flag, action="store_true", help=f.metadata["help"])
        elif f.default == ():
            parser.add_argument(flag, action="append", metavar=f.metadata["metavar"], help=f.metadata["help"])
        else:
            parser.add_argument(flag, metavar=f.metadata["metavar"], help=f.metadata["help"] + default)
    parser.add_argument("--config", metavar="FILE", help="TOML file with the same settings")
    return parser
