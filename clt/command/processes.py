"""Processes that others start: what they take, with everything they started themselves, and how they end.

psutil is imported late: ``clt doctor`` reads this module, and has to come when a package is missing.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


def usable_cores() -> int:
    """Cores this process may use: fewer than the machine has, inside a container or a batch job."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def family(pid: int) -> list:
    """The process ``pid`` and all it started, as ``psutil.Process``; empty if it is gone.

    A process that was left behind by its parent is found too, where ``pid`` leads a session (as each kernel does): it
    has the same session still.
    """
    import psutil

    members = {}
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        members = {member.pid: member for member in [process, *process.children(recursive=True)]}
    if hasattr(os, "getsid"):
        for other in psutil.pids():
            # Nothing but a session's own leader has its id; processes of other users may not be asked.
            with suppress(OSError, psutil.Error):
                if other not in members and os.getsid(other) == pid:
                    members[other] = psutil.Process(other)
    return [member for member in members.values() if _runs(member)]


def _runs(process) -> bool:
    import psutil

    with suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def resident(pid: int) -> int:
    """Bytes of memory that a process takes with everything it started; pages that two of them share count twice."""
    import psutil

    total = 0
    for member in family(pid):
        with suppress(psutil.Error):  # it may end between being listed and being asked
            total += member.memory_info().rss
    return total


def kill_tree(pid: int) -> None:
    """Kill a process with everything it started."""
    import psutil

    with suppress(psutil.Error):
        psutil.Process(pid).suspend()  # or it could start another one while the list is made
    for member in family(pid):
        with suppress(psutil.Error):
            member.kill()


def kill_children() -> None:
    """Kill everything that this process started."""
    import psutil

    for child in psutil.Process().children():
        kill_tree(child.pid)


@contextmanager
def repeatedly(act: Callable[[], None], every: float = 0.2) -> Iterator[None]:
    """Call ``act`` in a thread of its own, every so many seconds, for as long as the block runs."""
    done = threading.Event()

    def work():
        while not done.wait(every):
            act()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
