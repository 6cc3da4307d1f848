from rich.console import Console

from reactorsync_local.machine.progress import LiveProgress, PlainProgress, note_event
from reactorsync_local.supervisor import ProcessEvent, ProcessState


def event(state: ProcessState, detail: str = "") -> ProcessEvent:
    return ProcessEvent(name="historian", state=state, pid=1, restarts=0, detail=detail)


def test_plain_progress_is_a_line_per_step_with_its_time() -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append, verb="ready")
    note_event(progress, event(ProcessState.STARTING))
    assert lines == []
    note_event(progress, event(ProcessState.READY))
    progress.begin("sample fleet")
    progress.end("sample fleet", "29 reactors")
    assert lines == ["historian ready in 0.0 s", "sample fleet ready in 0.0 s (29 reactors)"]


def test_trouble_is_said_at_once() -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append, verb="ready")
    note_event(progress, event(ProcessState.BACKING_OFF, "ended: exit code 1; again in 0.2 s"))
    assert lines == ["historian: ended: exit code 1; again in 0.2 s"]


def drawn(progress: LiveProgress) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(progress)
    return capture.get()


def test_live_progress_shows_what_a_step_waits_for() -> None:
    progress = LiveProgress("Starting", lambda name: f"{name} waits for kafka")
    note_event(progress, event(ProcessState.STARTING))
    assert "historian waits for kafka" in drawn(progress)
    note_event(progress, event(ProcessState.BACKING_OFF, "exit code 1"))
    assert "exit code 1" in drawn(progress)
    note_event(progress, event(ProcessState.STARTING))
    note_event(progress, event(ProcessState.READY))
    assert "waits" not in drawn(progress)
    assert "✓" in drawn(progress)
