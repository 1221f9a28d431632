"""jobs.json: which SLURM jobs are the runs of a sweep directory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from mvfstrl.errors import MvfstrlError
from mvfstrl.files import write_whole

FILE = "jobs.json"


class Job(NamedTuple):
    """A run that was submitted."""

    number: int
    job_id: str
    folder: str
    """Of the run, within the sweep directory."""


class SweepError(MvfstrlError):
    """A directory that is not that of a sweep on a cluster."""


def read_jobs(sweep: Path) -> list[Job]:
    """In the order of their numbers. Raises SweepError."""
    if not sweep.is_dir():
        raise SweepError(f"{sweep}: no such directory")
    path = sweep / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        jobs = [Job(int(job["number"]), str(job["job_id"]), str(job["folder"])) for job in content["jobs"]]
    except FileNotFoundError as error:
        raise SweepError(f"{sweep}: {_instead(sweep)}") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SweepError(f"{path}: torn, or not written by hydra/launcher=slurm ({error!r})") from error
    if not jobs:
        raise SweepError(f"{path}: names no job")
    return sorted(jobs)


def write_jobs(sweep: Path, jobs: Sequence[Job]) -> None:
    """Adds to what the file has; a run that was submitted again is known by its newest job."""
    earlier = read_jobs(sweep) if (sweep / FILE).exists() else []
    newest = {job.folder: job for job in [*earlier, *jobs]}
    content = {
        "jobs": [job._asdict() for job in sorted(newest.values())],
        "submitted_utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_whole(sweep / FILE, json.dumps(content, indent=2) + "\n")


def _instead(sweep: Path) -> str:
    if not any(sweep.iterdir()):
        return "is empty: no sweep has been submitted from it"
    if (sweep / "sweep.json").exists():
        return f"a sweep, but not of hydra/launcher=slurm: it has no {FILE}, and no job to ask SLURM for"
    if (sweep / "config.yaml").exists():
        return "is the directory of a run; give that of the sweep, which is the one above"
    return f"not the directory of a sweep: it has no {FILE}"
