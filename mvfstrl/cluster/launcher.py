"""hydra/launcher=slurm: each run of a sweep is a SLURM job, submitted through submitit.

Beyond what the plugin does that it builds on: refusals are told before anything is written, or in SLURM's own
words; a job that dies without a word is noticed with and without accounting; a sweep may be left alone
(`cluster.detach`); of a job's several tasks only the first runs the program, the others are its ranks.
"""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher as PluginLauncher
from omegaconf import DictConfig, OmegaConf

from mvfstrl.cluster import scheduler
from mvfstrl.cluster.jobs import FILE, Job, read_jobs, write_jobs
from mvfstrl.errors import ConfigError, MvfstrlError
from mvfstrl.rank_environment import ranks_started

logger = logging.getLogger(__name__)

RESULT_S = 1.0
"""Between two looks for results..."""
STATES_S = 10.0
"""...and between two questions to SLURM, about all jobs at once."""
SETTLED_S = 15.0
"""How long a job must be over before a result that has not come is given up: file systems lag."""
LOG_LINES = 15
SUBDIR = "hydra.sweep.subdir="
NOT_SBATCH = ("submitit_folder", "max_num_timeout")
GENERAL = frozenset(OmegaConf.structured(BaseQueueConf).keys())


class LostJobError(MvfstrlError):
    """A job ended without leaving a result."""


class SlurmLauncher(PluginLauncher):  # type: ignore[misc]  # the plugin is not typed
    """In the submitting process `launch`; in each task of a job `__call__`, from submitit's pickle."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        scheduler.require_slurm()
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """One a run, in order; of one that failed or was lost too. None at all where the sweep is left alone.
        Raises SubmissionError where SLURM takes the jobs not."""
        sweep = Path(str(self.config.hydra.sweep.dir)).absolute()
        runs = [_run_of(overrides, initial_job_idx + i) for i, overrides in enumerate(job_overrides)]
        _require_no_other_jobs(sweep, [folder for _, folder in runs])
        sweep.mkdir(parents=True, exist_ok=True)
        submitted = self._submit(job_overrides, initial_job_idx)
        jobs = [
            Job(number, job.job_id, folder) for (number, folder), job in zip(runs, submitted, strict=True)
        ]
        write_jobs(sweep, jobs)
        for job, overrides in zip(jobs, job_overrides, strict=True):
            logger.info("#%d job %s: %s", job.number, job.job_id, " ".join(filter_overrides(overrides)))
        if self.config.cluster.detach:
            return []
        return _await(submitted)

    def _submit(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[Any]:
        """submitit's jobs: arrays as large as the cluster takes."""
        executor = self._executor()
        limit = scheduler.array_limit()
        state = Singleton.get_state()
        submitted: list[Any] = []
        for begin in range(0, len(job_overrides), limit):
            part = [list(overrides) for overrides in job_overrides[begin : begin + limit]]
            numbers = [first + begin + i for i in range(len(part))]
            columns = (part, ["hydra.sweep.dir"] * len(part), numbers, map(str, numbers), [state] * len(part))
            said = StringIO()
            try:
                with redirect_stderr(said):  # the message is in the error too
                    submitted += executor.map_array(self, *columns)
            except Exception as error:
                raise scheduler.SubmissionError(
                    scheduler.refusal(str(error)) + _take_back([job.job_id for job in submitted])
                ) from error
        return submitted

    def _executor(self) -> Any:
        import submitit

        params = {
            key: value for key, value in self.params.items() if key not in NOT_SBATCH and value is not None
        }
        if params.get("cpus_per_task"):  # since 22.05 srun does not take them over from sbatch
            params["srun_args"] = [f"--cpus-per-task={params['cpus_per_task']}", *params.get("srun_args", [])]
        executor = submitit.AutoExecutor(
            folder=self.params["submitit_folder"],
            cluster="slurm",
            slurm_max_num_timeout=self.params["max_num_timeout"],
        )
        try:
            executor.update_parameters(
                **{key if key in GENERAL else f"slurm_{key}": value for key, value in params.items()}
            )
        except (NameError, TypeError, ValueError) as error:
            raise ConfigError(f"hydra.launcher: {error}") from error
        return executor

    def __call__(self, *arguments: Any, **options: Any) -> JobReturn | None:
        """What a task of the job does. Only rank 0's result counts, and only it writes."""
        from mvfstrl.config import register

        register()
        if ranks_started(os.environ) == 1:
            return _portable(super().__call__(*arguments, **options))
        from mvfstrl.distributed import launched
        from mvfstrl.train import follow

        launch = launched()
        assert launch is not None
        if launch.rank:
            follow(launch)
            return None
        outcome = super().__call__(*arguments, **options)  # ends by SystemExit where it is to be requeued
        launch.dismiss()
        return _portable(outcome)


def _run_of(overrides: Sequence[str], index: int) -> tuple[int, str]:
    """A run's number and folder: as our sweepers say, or as Hydra counts."""
    told = (o.removeprefix(SUBDIR).strip("'\"") for o in reversed(overrides) if o.startswith(SUBDIR))
    folder = next(told, str(index))
    return (int(folder) if folder.isdigit() else index), folder


def _require_no_other_jobs(sweep: Path, folders: Sequence[str]) -> None:
    """Two jobs in one folder would write over each other."""
    if not (sweep / FILE).exists():
        return
    earlier = {job.job_id: job for job in read_jobs(sweep) if job.folder in folders}
    states = scheduler.states(earlier) if earlier else {}
    alive = [job for job_id, job in earlier.items() if states[job_id] in scheduler.ALIVE]
    if alive:
        named = ", ".join(f"#{job.number} (job {job.job_id})" for job in alive[:5])
        raise ConfigError(
            f"hydra.sweep.dir: {len(alive)} of the runs are in SLURM's hands already, as {named}:"
            f" python -m mvfstrl.cluster wait {sweep}, or cancel"
        )


def _take_back(job_ids: list[str]) -> str:
    if not job_ids:
        return ""
    try:
        scheduler.cancel(job_ids)
    except scheduler.SchedulerError as error:
        return f". {len(job_ids)} jobs had been submitted, and could not be cancelled ({error}): {job_ids}"
    return f". The {len(job_ids)} jobs submitted before it were cancelled"


def _await(
    submitted: Sequence[Any],
    states_of: Callable[[list[str]], Mapping[str, str]] = scheduler.states,
) -> list[JobReturn]:
    outcomes: dict[str, JobReturn] = {}
    over_since: dict[str, float] = {}
    asked = time.monotonic()
    while waiting := [job for job in submitted if job.job_id not in outcomes]:
        for job in waiting:
            if (outcome := _result_of(job)) is not None:
                outcomes[job.job_id] = outcome
        now = time.monotonic()
        if now - asked >= STATES_S:
            asked = now
            for job_id, state in _alive_or_not(waiting, states_of).items():
                if state in scheduler.ALIVE:
                    over_since.pop(job_id, None)
                elif now - over_since.setdefault(job_id, now) >= SETTLED_S and job_id not in outcomes:
                    (job,) = (job for job in waiting if job.job_id == job_id)
                    outcomes[job_id] = _failed(LostJobError(_obituary(job, state)))
        time.sleep(RESULT_S)
    return [outcomes[job.job_id] for job in submitted]


def _alive_or_not(
    jobs: Sequence[Any], states_of: Callable[[list[str]], Mapping[str, str]]
) -> Mapping[str, str]:
    try:
        return states_of([job.job_id for job in jobs])
    except scheduler.SchedulerError as error:  # a controller is restarted now and then
        logger.warning("%s; still waiting", error)
        return {}


def _result_of(job: Any) -> JobReturn | None:
    """Of the first task; None: not there yet."""
    path = job.task(0).paths.result_pickle
    with suppress(OSError):
        list(path.parent.iterdir())  # makes a network file system look again
    if not path.exists():
        return None
    try:
        kind, content = pickle.loads(path.read_bytes())
    except Exception as error:  # noqa: BLE001  whatever unpickling raises, one run has failed, not the sweep
        return _failed(LostJobError(f"job {job.job_id}: its result {path} cannot be read: {error!r}"))
    if kind == "success" and isinstance(content, JobReturn):
        return content
    last = str(content).strip().splitlines()[-1] if str(content).strip() else "no reason given"
    return _failed(LostJobError(f"job {job.job_id}: {last}; log: {job.task(0).paths.stderr}"))


def _obituary(job: Any, state: str) -> str:
    log = job.task(0).paths.stderr
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
    tail = "".join(f"\n  {line}" for line in lines) or " (empty)"
    known = "SLURM no longer knows it" if state == scheduler.GONE else f"SLURM calls it {state}"
    return f"job {job.job_id} ended without a result: {known}. The end of {log}:{tail}"


def _failed(error: Exception) -> JobReturn:
    outcome = JobReturn(status=JobStatus.FAILED)
    outcome.return_value = error
    return outcome


def _portable(outcome: JobReturn) -> JobReturn:
    """The submitting process must be able to read what went wrong."""
    try:
        pickle.loads(pickle.dumps(outcome._return_value))
    except Exception:  # noqa: BLE001
        outcome.return_value = MvfstrlError(str(outcome._return_value))
    return outcome
