"""Where errors become exit codes: 1 bad input or refused, 2 usage, 3 server unreachable."""

from __future__ import annotations

import os
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from reactorsync_local.console import tell, tell_error
from reactorsync_local.errors import CommandError
from reactorsync_local.supervisor.errors import LocalError

EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130

DEBUG_VARIABLE: Final = "REACTORSYNC_DEBUG"


class ErrorEdge(TyperGroup):
    """The top group of commands: no user ever sees a stack trace, unless asked for."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn what it raises into a line and an exit code."""
        try:
            return super().invoke(ctx)
        except CommandError as error:
            for line in error.details:
                tell(line)
            tell_error(str(error), error.hint)
            raise typer.Exit(error.exit_code) from error
        except LocalError as error:
            tell_error(error.problem, error.action)
            raise typer.Exit(EXIT_FAILED) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except (typer.Exit, typer.Abort, TyperException, BrokenPipeError):
            raise
        except Exception as error:
            if os.environ.get(DEBUG_VARIABLE):
                raise
            tell_error(
                f"this should not happen: {type(error).__name__}: {error}",
                f"a fault of ReactorSync; {DEBUG_VARIABLE}=1 shows where it is",
            )
            raise typer.Exit(EXIT_FAILED) from error
