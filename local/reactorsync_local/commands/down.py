"""``down``: stop what `up` started, from any terminal."""

from __future__ import annotations

from reactorsync_local.arguments import StateDirOption, run
from reactorsync_local.console import tell, write_line
from reactorsync_local.state_dir import find_state_dir
from reactorsync_local.supervisor import running_pid, stop_running


def down(state_dir: StateDirOption = None) -> None:
    """Stop everything that `up` started, and wait until it has stopped."""
    folder = find_state_dir(state_dir)
    if running_pid(folder) is not None:
        tell("Stopping ReactorSync ...")
    report = run(stop_running(folder))
    if report.pid is None and not report.leftovers:
        write_line(f"Nothing runs from {folder}.")
        return
    if report.pid is not None:
        how = "killed, for it did not stop in time" if report.forced else "stopped"
        write_line(f"ReactorSync (pid {report.pid}) {how} in {report.seconds:.1f} s.")
    if report.leftovers:
        write_line(f"Also stopped, left by an earlier run: {', '.join(report.leftovers)}.")
