"""Supervision of the processes that make up ReactorSync on one machine.

Reading order: `service` (what is kept running), `child` and `launcher` (one process), `process`
(one service: readiness, restarts), `supervisor` (all of them, pools, stop order), `instance` (one
supervisor per state folder, stopping it from elsewhere).
"""

from reactorsync_local.supervisor.child import (
    Account,
    Child,
    Command,
    describe_exit,
    is_alive,
    run_to_end,
)
from reactorsync_local.supervisor.errors import AlreadyRunning, LocalError, ServiceFailed, Stopping
from reactorsync_local.supervisor.instance import (
    InstanceLock,
    InstanceState,
    StopReport,
    running_pid,
    stop_leftovers,
    stop_running,
)
from reactorsync_local.supervisor.logs import LogFile, LogLimit, last_lines
from reactorsync_local.supervisor.ports import (
    PortHolder,
    PortTaken,
    ensure_free,
    free_port,
    holder_of,
    is_free,
)
from reactorsync_local.supervisor.process import ProcessStatus, SupervisedProcess
from reactorsync_local.supervisor.restart import RestartPolicy
from reactorsync_local.supervisor.service import Listener, ProcessEvent, ProcessState, Service
from reactorsync_local.supervisor.supervisor import Pool, Supervisor

__all__ = [
    "Account",
    "AlreadyRunning",
    "Child",
    "Command",
    "InstanceLock",
    "InstanceState",
    "Listener",
    "LocalError",
    "LogFile",
    "LogLimit",
    "Pool",
    "PortHolder",
    "PortTaken",
    "ProcessEvent",
    "ProcessState",
    "ProcessStatus",
    "RestartPolicy",
    "Service",
    "ServiceFailed",
    "StopReport",
    "Stopping",
    "SupervisedProcess",
    "Supervisor",
    "describe_exit",
    "ensure_free",
    "free_port",
    "holder_of",
    "is_alive",
    "is_free",
    "last_lines",
    "run_to_end",
    "running_pid",
    "stop_leftovers",
    "stop_running",
]
