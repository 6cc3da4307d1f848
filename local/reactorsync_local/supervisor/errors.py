"""Errors of running ReactorSync on one machine.

Each says what is wrong and, in one line, what the user can do; the command line prints both and
exits with 1.
"""


class LocalError(Exception):
    """Something on this machine keeps ReactorSync from running.

    `problem` is the fact, `action` one line of what to do about it.
    """

    def __init__(self, problem: str, *, action: str) -> None:
        super().__init__(f"{problem}: {action}")
        self.problem = problem
        self.action = action


class AlreadyRunning(LocalError):
    """Another supervisor holds this state folder."""

    def __init__(self, *, pid: int | None, state_dir: str) -> None:
        holder = f"pid {pid}" if pid is not None else "another process"
        super().__init__(
            f"ReactorSync is already running from {state_dir} ({holder})",
            action="use it, or stop it with `reactorsync down`",
        )
        self.pid = pid


class ServiceFailed(LocalError):
    """A service ended, or did not become ready in time, while it was being started."""

    def __init__(self, name: str, *, reason: str, log_path: str, last_lines: list[str]) -> None:
        shown = "".join(f"\n    {line}" for line in last_lines)
        super().__init__(f"{name} {reason}", action=f"see {log_path}{shown}")
        self.name = name
        self.reason = reason
        self.last_lines = last_lines


class Stopping(LocalError):
    """A start was given up because the supervisor has been asked to stop."""

    def __init__(self) -> None:
        super().__init__("ReactorSync is being stopped", action="wait until it has stopped")
