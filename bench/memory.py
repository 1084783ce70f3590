"""What the processes hold when all is done."""

from collections.abc import Iterable

import psutil

from bench.results import Memory


def memory_of(*, api: psutil.Process, postmaster: psutil.Process, runtime_role: str) -> Memory:
    """The api's workers, and the backends of the runtime's sessions that are open now."""
    workers = api.children(recursive=True) or [api]
    backends = [process for process in postmaster.children() if runtime_role in _title(process)]
    backend_sizes = list(_sizes(backends))
    worker_sizes = list(_sizes(workers))
    return Memory(
        api_process_rss_mb=[rss for rss, _ in worker_sizes],
        api_process_private_mb=[private for _, private in worker_sizes],
        backends=len(backend_sizes),
        backend_rss_max_mb=max((rss for rss, _ in backend_sizes), default=0.0),
        backend_private_max_mb=max((private for _, private in backend_sizes), default=0.0),
    )


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        # One that just ended, as those of autovacuum do.
        return ""


def _sizes(processes: Iterable[psutil.Process]) -> Iterable[tuple[float, float]]:
    for process in processes:
        try:
            found = process.memory_full_info()
        except psutil.NoSuchProcess:
            continue
        yield round(found.rss / 1e6, 1), round(found.uss / 1e6, 1)
