"""Showing people how a start or a stop goes on: what, how long, and what it waits for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from reactorsync_local.rendering.palette import ALARM, CAUTION, MUTED
from reactorsync_local.supervisor import ProcessEvent, ProcessState


class StepState(StrEnum):
    """Where a step stands."""

    GOING_ON = "going on"
    DONE = "done"
    TROUBLED = "troubled"


@dataclass(slots=True)
class Step:
    """One line of progress."""

    title: str
    began: float
    state: StepState = StepState.GOING_ON
    seconds: float = 0.0
    detail: str = ""


Waiting = Callable[[str], str]
"""Returns what a step waits for at the moment, by its title; empty for nothing known."""


class Progress(Protocol):
    """Takes note of steps as they go."""

    def begin(self, title: str) -> None:
        """Say that a step begins."""

    def end(self, title: str, detail: str = "") -> None:
        """Say that a step is over."""

    def trouble(self, title: str, detail: str) -> None:
        """Say that a step has trouble and goes on."""


def note_event(progress: Progress, event: ProcessEvent) -> None:
    """Tell the progress what a supervised process does."""
    match event.state:
        case ProcessState.STARTING | ProcessState.STOPPING:
            progress.begin(event.name)
        case ProcessState.READY | ProcessState.STOPPED:
            progress.end(event.name)
        case ProcessState.BACKING_OFF | ProcessState.FAILED:
            progress.trouble(event.name, event.detail)


class PlainProgress:
    """A line when a step ends or has trouble."""

    def __init__(self, write: Callable[[str], None], *, verb: str) -> None:
        self._write = write
        self._verb = verb
        self._began: dict[str, float] = {}

    def begin(self, title: str) -> None:
        """Remember when it began."""
        self._began.setdefault(title, time.monotonic())

    def end(self, title: str, detail: str = "") -> None:
        """Write how long it took."""
        began = self._began.pop(title, None)
        took = "" if began is None else f" in {time.monotonic() - began:.1f} s"
        more = f" ({detail})" if detail else ""
        self._write(f"{title} {self._verb}{took}{more}")

    def trouble(self, title: str, detail: str) -> None:
        """Write what the trouble is."""
        self._write(f"{title}: {detail}")


class LiveProgress:
    """A list of steps on the terminal, redrawn as they go on."""

    def __init__(self, title: str, waiting: Waiting) -> None:
        self._title = title
        self._waiting = waiting
        self._steps: dict[str, Step] = {}
        self._spinner = Spinner("dots", style=MUTED)

    def begin(self, title: str) -> None:
        """Add the step, or start its clock anew after trouble."""
        step = self._steps.get(title)
        if step is None or step.state is StepState.DONE:
            self._steps[title] = Step(title, time.monotonic())
        else:
            step.state = StepState.GOING_ON

    def end(self, title: str, detail: str = "") -> None:
        """Stop the step's clock."""
        step = self._steps.setdefault(title, Step(title, time.monotonic()))
        step.state, step.detail = StepState.DONE, detail
        step.seconds = time.monotonic() - step.began

    def trouble(self, title: str, detail: str) -> None:
        """Show the trouble beside the step."""
        step = self._steps.setdefault(title, Step(title, time.monotonic()))
        step.state, step.detail = StepState.TROUBLED, detail

    def __rich__(self) -> Table:
        """Return the list as it is now."""
        table = Table.grid(padding=(0, 1))
        table.add_row("", Text(self._title, style="bold"))
        for step in self._steps.values():
            table.add_row(self._symbol(step), Text(f"{step.title:<14}"), self._detail(step))
        return table

    def _symbol(self, step: Step) -> Spinner | Text:
        match step.state:
            case StepState.GOING_ON:
                return self._spinner
            case StepState.DONE:
                return Text("✓", style=MUTED)
            case StepState.TROUBLED:
                return Text("!", style=ALARM)

    def _detail(self, step: Step) -> Text:
        if step.state is StepState.DONE:
            text = Text(f"{step.seconds:5.1f} s", style=MUTED)
            return text.append(f"  {step.detail}") if step.detail else text
        text = Text(f"{time.monotonic() - step.began:5.1f} s")
        if step.state is StepState.TROUBLED:
            return text.append(f"  {step.detail}", style=CAUTION)
        return text.append(f"  {self._waiting(step.title)}", style=MUTED)


@contextlib.contextmanager
def shown(progress: LiveProgress, console: Console) -> Iterator[None]:
    """Draw the progress on the terminal while the context lasts; the last state stays there."""
    with Live(progress, console=console, refresh_per_second=8):
        yield
