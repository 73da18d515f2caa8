"""An Optuna study of trials, each a run: sampled, pruned by epoch, shared by processes, killed and resumed.

The study is in a database, or in a journal: a file that processes of one machine append to. Each trial's
process sends a database a heartbeat a few times a minute; a journal has none, and there the lock of the
trial's run directory tells whether its process lives. A trial whose process is dead is marked as failed and
queued with its parameters for the next process, which continues its run. Needs the extra `tune`.
"""

import math
import shutil
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import optuna
import sqlalchemy.exc
from optuna.storages import JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from seewhy.config.recipe import Recipe, options
from seewhy.config.search import is_whole
from seewhy.errors import DivergedError, LockedError, MemoryLimitError, UsageError
from seewhy.evaluation.metrics import value_of
from seewhy.events import Epoch, Event, Note, RunFinished, Step
from seewhy.files import exclusive
from seewhy.run import Run
from seewhy.text import without_password
from seewhy.training.batches import seed_of
from seewhy.workflows.experiments.task import LOCK, Task, is_locked

Pruner = Literal["median", "hyperband", "none"]

JOURNAL = "journal:"  # before the path of one
HEARTBEAT, SILENCE = 10, 60  # seconds between heartbeats, and after which a trial is dead
KEPT = 3  # best trials whose weights are kept
STARTUP = 10  # random trials before the sampler uses their results
FEW = 8  # complete trials below which importance would be noise
SAMPLING = 7  # the stream of the sampler's random numbers, see training.batches
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
# Errors of a single trial, which do not stop the others.
_UNFIT = (DivergedError, MemoryLimitError, UsageError)
_UNUSABLE = (
    *(sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError),
    *(ImportError, OSError, ValueError),
)


@contextmanager
def quiet() -> Iterator[None]:
    """Stops Optuna from logging, and from warning that its heartbeat is experimental."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def open_study(
    url: str, name: str, mode: str, pruner: Pruner, epochs: int, host: str | None = None
) -> optuna.Study:
    """The study of that name in the database or journal at `url`, created if there is none.

    Raises `UsageError` for a storage that cannot be opened, for a password in its address, and for a file
    that is not of this machine, where `host` names one.
    """
    here = socket.gethostname()
    if host not in (None, here) and url.startswith((JOURNAL, "sqlite")):
        raise UsageError(
            f"the trials are kept in a file on {host}, which {here} cannot share safely: on a cluster of "
            "several machines use --storage postgresql://USER@HOST/DATABASE"
        )
    shown = without_password(url)
    if shown != url:
        raise UsageError(
            f"--storage {shown} has a password, which other users see in the list of processes: give it "
            "in PGPASSWORD or a file that PGPASSFILE names"
        )
    try:
        journal = url.removeprefix(JOURNAL) if url.startswith(JOURNAL) else None
        storage = JournalStorage(JournalFileBackend(journal)) if journal else _database(url)
        return optuna.create_study(
            storage=storage,
            study_name=name,
            direction="maximize" if mode == "max" else "minimize",
            pruner=_pruner(pruner, epochs),
            load_if_exists=True,
        )
    except _UNUSABLE as error:
        reason = without_password(str(error).splitlines()[0])
        raise UsageError(
            f"--storage {shown} cannot be opened ({reason}): expected journal:FILE, or a database such as "
            "sqlite:///study.db or postgresql://user@host/name, with its driver installed"
        ) from None


def _database(url: str) -> RDBStorage:
    address = sqlalchemy.make_url(url)
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    waiting = {"connect_args": {"timeout": 60}} if address.drivername.startswith("sqlite") else {}
    return RDBStorage(
        address.render_as_string(hide_password=False),
        engine_kwargs=waiting,
        heartbeat_interval=HEARTBEAT,
        grace_period=SILENCE,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
    )


def search(
    study: optuna.Study,
    task: Task,
    home: Path,
    trials: int,
    deadline: float | None,
    own: float = math.inf,
) -> None:
    """Runs trials until `trials` of the study are finished, here or by other processes, or `own` here.

    After `deadline`, in seconds since 1970, no further trial starts. An interrupted trial is queued to be
    continued.
    """
    planned = task.planned()
    waiting = False
    while own > 0 and (deadline is None or time.time() < deadline):
        states = [trial.state for trial in study.get_trials(deepcopy=False)]
        finished = sum(state in FINISHED for state in states)
        running = states.count(TrialState.RUNNING)
        if finished >= trials:
            break
        if running:
            _give_up_dead(study, home)
        if finished + running < trials:
            own -= _run_one(study, task, planned, home, trials)
            _drop_weights(study, home)
            continue
        if not waiting:
            task.on_event(Note(f"waiting for {running} trials of other processes"))
        waiting = True
        time.sleep(1)
        optuna.storages.fail_stale_trials(study)


def search_on_cluster(
    study: optuna.Study,
    begin: Callable[[], optuna.Study],
    task: Task,
    home: Path,
    trials: int,
    deadline: float | None,
) -> None:
    """As `search`, by a Ray cluster: a job finishes one trial of the study that `begin` opens there.

    A job that is done again, since its worker was lost, waits until the trial is known to be dead, and
    continues it.
    """
    finished = sum(trial.state in FINISHED for trial in study.get_trials(deepcopy=False))
    one = partial(_one_trial, begin=begin, home=home, trials=trials, deadline=deadline)
    task.on_cluster([one] * (trials - finished))


def _one_trial(
    task: Task,
    begin: Callable[[], optuna.Study],
    home: Path,
    trials: int,
    deadline: float | None,
) -> None:
    """Finishes one trial, unless others finish all."""
    with quiet():
        search(begin(), task, home, trials, deadline, own=1)


def _give_up_dead(study: optuna.Study, home: Path) -> None:
    """Marks trials of a journal as failed whose process is dead, and queues them to be continued."""
    if not isinstance(study._storage, JournalStorage):  # a database has heartbeats
        return
    with exclusive(home / LOCK, wait=True):
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            assert trial.datetime_start is not None
            age = datetime.now() - trial.datetime_start
            if age.total_seconds() > SILENCE and not is_locked(home / folder(trial)):
                time.sleep(1)  # in which a process that has just finished its run says so
                with suppress(ValueError):  # it did
                    study.tell(trial.number, state=TrialState.FAIL)
                    RetryHeartbeatStaleTrialCallback()(study, trial)


def best_trials(study: optuna.Study, count: int = KEPT) -> list[FrozenTrial]:
    """The best finished trials, best first."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    return sorted(done, key=lambda trial: (sign * (trial.value or 0.0), trial.number))[:count]


def importance(study: optuna.Study) -> dict[str, float]:
    """How much each searched field matters, adding up to 1, by PED-ANOVA (Watanabe et al. 2023).

    Empty if too few trials are complete.
    """
    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < FEW:
        return {}
    return dict(optuna.importance.get_param_importances(study))


def folder(trial: FrozenTrial | optuna.Trial) -> str:
    """The name of a trial's run directory: that of the trial which it continues, if any."""
    first = RetryHeartbeatStaleTrialCallback.retried_trial_number(_frozen(trial))
    return f"trial-{trial.number if first is None else first:04d}"


def _run_one(study: optuna.Study, task: Task, planned: Recipe, home: Path, trials: int) -> bool:
    """Runs a trial; returns whether it was finished."""
    states: list[TrialState] = []
    try:
        study.optimize(
            lambda trial: _objective(trial, task, planned, home, trials),
            n_trials=1,
            catch=(LockedError,),
            callbacks=[lambda study, trial: states.append(trial.state)],
        )
    except ValueError as error:
        if not str(error).startswith("Cannot tell"):
            raise
        text = (
            "a trial sent no heartbeat for too long and was marked as dead; its result is ignored"
        )
        task.on_event(Note(text))
    return bool(states) and states[0] in FINISHED


def _objective(trial: optuna.Trial, task: Task, planned: Recipe, home: Path, trials: int) -> float:
    """Trains one trial, reporting its epochs, and returns the metric that its recipe monitors."""
    study, metric = trial.study, planned.train.monitor
    # One seed per trial, so that neither a second process nor a restart repeats samples.
    study.sampler = optuna.samplers.TPESampler(
        n_startup_trials=STARTUP, seed=seed_of(planned.train.seed, SAMPLING, trial.number) % 2**32
    )
    params = {name: _suggest(trial, name, planned) for name in planned.search}
    values = ", ".join(f"{name.split('.')[-1]}={_shown(value)}" for name, value in params.items())
    run, name = Run(home / folder(trial)), f"trial {trial.number}: {values}"
    begun = sum(t.state != TrialState.FAIL for t in study.get_trials(deepcopy=False))
    try:
        # Fields that exclude each other are refused here.
        with task.events(run.path, params, min(begun, trials), trials, name) as events:
            pruned = _watched(events, trial, task, run, metric)
    except _UNFIT as error:
        trial.set_user_attr("refused", str(error))
        task.on_event(Note(f"{name}: {error}"))
        raise optuna.TrialPruned from None
    except (KeyboardInterrupt, SystemExit) as stop:
        RetryHeartbeatStaleTrialCallback()(study, _frozen(trial))
        if isinstance(stop, SystemExit):  # Optuna itself marks what the keyboard interrupts
            study.tell(trial, state=TrialState.FAIL)
        raise
    if pruned is not None:
        task.on_event(replace(pruned, name=name))
        raise optuna.TrialPruned
    shutil.rmtree(run.checkpoints, ignore_errors=True)
    return value_of(run.metrics["val"], metric)


def _watched(
    events: Iterator[Event], trial: optuna.Trial, task: Task, run: Run, metric: str
) -> RunFinished | None:
    """Consumes a trial's run and reports its epochs; returns its last event if it is pruned, else None.

    A run that would be pruned after its last epoch is complete.
    """
    pruned = None

    def report(value: float, epoch: int, seconds: float) -> RunFinished | None:
        trial.report(value, epoch)
        if not trial.should_prune():
            return pruned
        note = f"pruned at epoch {epoch}"
        return RunFinished(str(run.path), metric, value, seconds, note=note)

    for row in run.history:
        pruned = report(row[f"val_{metric}"], int(row["epoch"]), row["seconds"])
    for event in events:
        task.on_event(event)
        if isinstance(event, Epoch):
            pruned = report(event.validation[metric], event.epoch, event.seconds)
        elif isinstance(event, Step) and pruned:
            return pruned
    return None


def _suggest(trial: optuna.Trial, name: str, planned: Recipe) -> Any:
    space = planned.search[name]
    if space.choices is not None:
        return trial.suggest_categorical(name, space.choices)
    field = next(option.field for option in options() if option.name == name)
    assert space.low is not None and space.high is not None
    if is_whole(field):
        return trial.suggest_int(name, int(space.low), int(space.high), log=space.log)
    return trial.suggest_float(name, space.low, space.high, log=space.log)


def _drop_weights(study: optuna.Study, home: Path) -> None:
    """Removes the weights of finished trials except the best; metrics and history are kept."""
    best = {folder(trial) for trial in best_trials(study)}
    for trial in study.get_trials(deepcopy=False, states=FINISHED):
        run = Run(home / folder(trial))
        if run.path.name not in best:
            run.model.unlink(missing_ok=True)
            shutil.rmtree(run.checkpoints, ignore_errors=True)


def _pruner(name: Pruner, epochs: int) -> optuna.pruners.BasePruner:
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=epochs // 4 + 1)
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=max(1, epochs // 9), max_resource=epochs)
    return optuna.pruners.NopPruner()


def _frozen(trial: FrozenTrial | optuna.Trial) -> FrozenTrial:
    if isinstance(trial, FrozenTrial):
        return trial
    return trial.study.get_trials(deepcopy=False)[trial.number]


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
