"""The command line: human text on stderr, results on stdout, and four exit codes.

0 done, 1 failed, 2 refused or ambiguous, 3 some inputs failed. Bodies only translate; the work is in the library.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import medcolor
from medcolor.cli.messages import DEBUG, DONE, FAILED, REFUSED, console, fail, failure_code, show_warning, unexpected
from medcolor.errors import MedcolorError

if TYPE_CHECKING:
    from cyclopts import App


def build_app() -> App:
    """Assemble the commands."""
    from cyclopts import App

    from medcolor.cli.batch import batch
    from medcolor.cli.benchmark import benchmark_app
    from medcolor.cli.colorize import colorize
    from medcolor.cli.compare import compare
    from medcolor.cli.export import export_app
    from medcolor.cli.node import node
    from medcolor.cli.pacs import outbox
    from medcolor.cli.restore import restore
    from medcolor.cli.show import colorizers, demo, info, palettes
    from medcolor.cli.train import train

    app = App(
        name="medcolor",
        help=(
            "Faithful colour for medical images: structure comes from the scan, only colour is invented. "
            "Designed colours, not measured ones. Research use, not for diagnosis."
        ),
        version=medcolor.__version__,
        error_console=console(),
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
    )
    for command in (colorize, batch, node, outbox, info, restore, palettes, colorizers, demo, train, compare):
        app.command(command)
    app.command(export_app())
    app.command(benchmark_app())
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``--debug`` shows tracebacks."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG.set("--debug" in tokens)
    tokens = [token for token in tokens if token != "--debug"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=medcolor.errors.MedcolorWarning)
        warnings.showwarning = show_warning
        try:
            return _guarded(tokens)
        finally:
            DEBUG.reset(debug)


def _guarded(tokens: list[str]) -> int:
    from cyclopts import CycloptsError

    try:
        outcome = build_app()(tokens)
    except CycloptsError as error:
        return fail(str(error), REFUSED)
    except (MedcolorError, FileNotFoundError) as error:
        return fail(error, failure_code(error))
    except KeyboardInterrupt:
        return fail("Cancelled. Files already complete were kept; nothing is half-written.", FAILED)
    except BrokenPipeError:  # whoever read stdout has seen enough, as in "medcolor colorizers | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor may the interpreter complain at its end
        return DONE
    except Exception as error:
        return unexpected(error)
    return outcome if isinstance(outcome, int) else DONE
