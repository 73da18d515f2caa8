"""Retraining as one command that can be run again: the same inputs train once, a worse model is not used.

What was done is in the registry: the event that adds a candidate names the key of its inputs, and the
comparison with the champion is the evidence of each move. The files of a key (`workflows.candidate`) are only
needed until then.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from seewhy.analysis.replacement import Gate, GateLimits
from seewhy.data import Data
from seewhy.data.sources import find
from seewhy.errors import RegistryError, UsageError
from seewhy.evaluation.stats.significance import mcnemar_interval
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import (
    clear_temporaries,
    exclusive,
    from_json,
    make_directory,
    named_path,
    to_json,
    write_json,
)
from seewhy.inference.registered import file_of, open_registry
from seewhy.registry.records import CHALLENGER, CHAMPION, Reference, RegistryEvent, Version
from seewhy.text import command_line, counted, no_such, registry_flags
from seewhy.workflows.ab import ab_status
from seewhy.workflows.candidate import DecisionTargets, Plan, make_candidate, make_plan
from seewhy.workflows.collect import with_feedback
from seewhy.workflows.gate import GateImages, compare_models, gate_images
from seewhy.workflows.info import info
from seewhy.workflows.register import add_model
from seewhy.workflows.trained_on import Keys, keys_of, known_keys

if TYPE_CHECKING:
    from seewhy.registry.registry import Registry

Policy = Literal["never", "gate", "ab"]
Outcome = Literal["promoted", "challenger", "passed", "rejected", "unchanged"]


@dataclass(frozen=True)
class Retraining:
    """What a retraining of `name` came to, and why, in sentences.

    `version` is the candidate, trained from version `parent`; None where there was nothing to train.
    `outcome` is "unchanged" where the champion was trained on these data already, "rejected" where the gate
    stopped the candidate; "challenger" and "promoted" say which alias points at it, and "passed" that it
    passed the gate and others have moved the alias since. `repeated` says that it was made before, by the
    same `key`, and nothing was trained.
    """

    name: str
    key: str
    parent: int
    version: int | None
    outcome: Outcome
    repeated: bool
    reasons: tuple[str, ...]
    gate: Gate | None
    folder: Path


def retrain(
    name: str,
    data: Data,
    recipe: str | Path | None = None,
    *,
    registry: str | Path | None = None,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    feedback: bool = False,
    hold_out: Data | None = None,
    promote: Policy = "never",
    limits: GateLimits = GateLimits(),  # noqa: B008 (frozen)
    precision: float | None = None,
    coverage: float | None = None,
    out_of_scope: Data | None = None,
    on_event: OnEvent = ignore,
) -> Retraining:
    """Trains the champion of `name` on new data, and lets the result replace it only if it is no worse.

    `data` is checked and split as for `train`; `recipe` [the champion's] and `overrides` are as there;
    `precision`, `coverage` and `out_of_scope` as for `calibrate`. With `feedback` the served images of `name`
    that have a label in the registry are trained on, too (`export_feedback`).

    The candidate is compared with the champion on the validation images, or those of `hold_out`, that neither
    was trained on. Only if it passes by `limits` does the alias `challenger` point at it, and with
    `promote="gate"` the alias `champion` too. With "ab" a challenger is promoted by a later call, once its
    A/B test (`ab_status`) says that it is better, and nothing else is trained until that test is decided.

    Run again, it goes on where it was interrupted; the same data, labels, recipe and champion train once. Its
    files are in `out` [runs/retrain-NAME]. Raises `DataError` for data with errors, `LockedError` where
    another process retrains here, and `RegistryError` "alias_moved" where an alias was moved meanwhile.
    """
    if promote not in get_args(Policy):
        raise UsageError(no_such("policy", promote, get_args(Policy)))
    reference = Reference.parse(f"{name}@{CHAMPION}")
    name = reference.name  # without "registry:"
    home = Path("runs", f"retrain-{name}") if out is None else named_path(out)
    with open_registry(registry) as opened:
        champion = opened.find(reference)
        make_directory(home)
        with exclusive(home / "retrain.lock"), ExitStack() as stack:
            clear_temporaries(home, ".feedback.*.tmp", below=False)
            # Folders of candidates: what else is there is a user's.
            for folder in home.glob("[0-9a-f]" * 16):
                clear_temporaries(folder)
            changes, named = overrides or {}, data
            if feedback:
                collected = with_feedback(
                    name, data, home, changes, registry=registry, on_event=on_event
                )
                data = stack.enter_context(collected)
            targets = DecisionTargets(precision, coverage, out_of_scope)
            plan = make_plan(opened, champion, data, recipe, changes, targets, home, on_event)
            plan = replace(plan, given=None if data is named else named)
            own = not overrides and all(one is None for one in (recipe, *vars(targets).values()))
            if hold_out is not None:
                # Also where nothing is trained: a wrong path would wait for new images.
                find(hold_out)
            job = _Job(opened, registry, champion, plan, limits, promote, on_event)
            return job.on_trial() or job.unchanged(own) or job.run(hold_out)


@dataclass(frozen=True, eq=False)
class _Job:
    """A retraining that has the lock of its folder."""

    registry: "Registry"
    place: str | Path | None
    champion: Version
    plan: Plan
    limits: GateLimits
    policy: Policy
    on_event: OnEvent

    @property
    def name(self) -> str:
        return self.champion.name

    def on_trial(self) -> Retraining | None:
        """The result while a challenger is tried beside the champion from which it was trained."""
        version = self._pointed_at(CHALLENGER)
        if self.policy != "ab" or version is None or not self._is_child(version):
            return None
        reasons = [
            f"{self.name}@{CHALLENGER} (version {version}) is on trial: nothing else is trained"
        ]
        try:
            status = ab_status(self.name, registry=self.place)
        except RegistryError as error:
            if error.code != "no_test":
                raise
            return self._result(version, "challenger", True, [*reasons, str(error)], None)
        verdict = status.test.verdict
        if status.versions != (self.champion.version, version) or verdict == "open":
            return self._result(version, "challenger", True, [*reasons, *status.text], None)
        if verdict != "challenger" or self._was(CHAMPION, version):
            return None
        before = self.champion.version
        self.registry.promote(
            self.name, version, why=status.text[0], evidence=to_json(status), expected=before
        )
        moved = f"{self.name}@{CHAMPION} is version {version}, was version {before}"
        return self._result(version, "promoted", True, [*status.text, moved], None)

    def _is_child(self, version: int) -> bool:
        """Whether a version was trained from the champion by `retrain`."""
        return any(
            (event.kind, event.version) == ("add", version)
            and event.evidence.get("retrain", {}).get("parent") == self.champion.digest
            for event in self._events()
        )

    def unchanged(self, own: bool) -> Retraining | None:
        """The result if the champion was trained on these data already; `own`: by a recipe of its own."""
        identity = self.plan.identity
        same = own and self.plan.champion.fingerprint == identity["data"]
        for event in self._events():
            made = event.evidence.get("retrain", {})
            if event.kind == "add" and event.version == self.champion.version:
                same |= all(made.get(one) == identity[one] for one in ("data", "recipe"))
        if not same:
            return None
        nothing = (
            f"nothing to do: {self.name}@{CHAMPION} (version {self.champion.version}) was trained on these "
            "images and labels by this recipe"
        )
        return self._result(None, "unchanged", True, [nothing], None)

    def run(self, hold_out: Data | None) -> Retraining:
        """Makes the candidate unless it is in the registry, compares it, and moves the aliases."""
        before = self._pointed_at(CHALLENGER)
        seen, reasons = self._seen(hold_out)
        images = gate_images(self.plan.splits, hold_out, seen, self.on_event)
        self._note_on_test(seen)
        made = self._made()
        repeated = made is not None
        if made is None:
            self._note_on_few(len(images.images))
            make_candidate(self.plan, self.on_event)
        gate = self._gate(images, made)
        if made is None and (made := self._made()) is not None:  # another machine was faster
            gate = self._gate(images, made)
        version = self._add(gate, images, seen) if made is None else made.version
        if made is not None:
            what = "nothing was trained" if repeated else "another process was faster"
            reasons.append(
                f"{what}: {self.name}@{version} was made of the same data, recipe and champion, by "
                f"{made.who} at {made.at}"
            )
        reasons += gate.reasons
        outcome: Outcome = "rejected"
        if gate.passed:
            outcome = self._move(version, gate, images, before, reasons)
        else:
            reasons.append(f"{self.name}@{CHAMPION} stays version {self.champion.version}")
        return self._result(version, outcome, repeated, reasons, gate)

    def _seen(self, hold_out: Data | None) -> tuple[Keys, list[str]]:
        """The keys of the champion's training images, and a sentence where they are not known."""
        seen = known_keys(self.registry, self.champion.digest)
        if seen is not None:
            return seen, []
        which = f"it is not known on which images {self.name}@{self.champion.version} was trained"
        if hold_out is None:
            flags = registry_flags(self.place)
            again = command_line("registry", "add", "RUN", self.name, *flags)
            raise UsageError(
                f"{which}, so none can judge a new model: add it again from the directory of its run "
                f"(`{again}`), or name labelled images that it has not seen by --hold-out"
            )
        return keys_of(set()), [f"{which}: that it has not seen the hold-out is taken on trust"]

    def _note_on_test(self, seen: Keys) -> None:
        test = self.plan.splits.test
        known = 0 if test is None else int(np.isin(keys_of(test.hashes), seen).sum())
        if known:
            self.on_event(
                Note(
                    f"{counted(known, 'test image', 'were')} training images of the champion, so that "
                    "metrics on test will be too good"
                )
            )

    def _note_on_few(self, n: int) -> None:
        least = -100 * mcnemar_interval(0, 0, n).low
        if least >= self.limits.margin:
            self.on_event(
                Note(
                    f"{counted(n, 'image', 'are')} few to compare models on: one that is equally good stays "
                    f"unproven, unless --margin allows {least:.1f} points"
                )
            )

    def _gate(self, images: GateImages, made: RegistryEvent | None) -> Gate:
        """The comparison with the champion: made once for the same images and limits."""
        record = self.plan.folder / "gate.json"
        stored = [
            event.evidence for event in self._events() if made and event.version == made.version
        ]
        if record.exists():
            stored.append(json.loads(record.read_text("utf-8")))
        version = None if made is None else self.registry.find(f"{self.name}@{made.version}")
        digest = info(self.plan.candidate).header.digest if version is None else version.digest
        about = self._about(images, digest)
        for one in stored:
            if one.get("about") == about:
                gate: Gate = from_json(Gate, one["gate"])
                return gate
        # Only now, as gc may have removed the bytes of one that was rejected.
        file = self.plan.candidate if version is None else file_of(self.registry, version)
        gate = compare_models(
            self.plan.file,
            file,
            images,
            self.limits,
            device=self.plan.recipe.train.device,
            on_event=self.on_event,
        )
        write_json({"about": about, "gate": gate}, record)
        return gate

    def _about(self, images: GateImages, candidate: str) -> dict[str, Any]:
        """What a comparison depends on."""
        about: dict[str, Any] = to_json(
            {
                "candidate": candidate,
                "champion": self.champion.digest,
                "images": images.images.fingerprint,
                "limits": self.limits,
            }
        )
        return about

    def _add(self, gate: Gate, images: GateImages, seen: Keys) -> int:
        """Adds the candidate as a version, whether or not it passed; known by its key ever after."""
        keys = np.concatenate([seen, keys_of(self.plan.splits.train.hashes)])
        why = (
            f"retrained from version {self.champion.version} on {self.plan.source}: {gate.verdict}"
        )
        about = info(self.plan.candidate)
        evidence = self._evidence(gate, images, about.header.digest)
        known = keys if known_keys(self.registry, self.champion.digest) is not None else None
        added = add_model(self.registry, self.name, about, known, why=why, evidence=evidence)
        return added.version

    def _evidence(self, gate: Gate, images: GateImages, candidate: str) -> dict[str, Any]:
        made = {"key": self.plan.key, **self.plan.identity}
        return {"retrain": made, "about": self._about(images, candidate), "gate": gate}

    def _move(
        self, version: int, gate: Gate, images: GateImages, before: int | None, reasons: list[str]
    ) -> Outcome:
        """Points the aliases at a candidate that passed, each at most once: people may move them back."""
        digest = self.registry.find(f"{self.name}@{version}").digest
        evidence = self._evidence(gate, images, digest)
        wanted = {CHALLENGER: before}
        if self.policy == "gate":
            wanted[CHAMPION] = self.champion.version
        why = f"retrained: {gate.verdict} on {counted(gate.images, 'image')} of {gate.source}"
        for alias, expected in wanted.items():
            if self._was(alias, version):
                now = self._pointed_at(alias)
                if now != version:
                    reasons.append(
                        f"{self.name}@{alias} was version {version} before, and is version {now} since: it "
                        "is not moved again"
                    )
                continue
            self.registry.promote(
                self.name, version, alias, why=why, evidence=evidence, expected=expected
            )
            was = "" if expected is None else f", was version {expected}"
            reasons.append(f"{self.name}@{alias} is version {version}{was}")
        if self._pointed_at(CHAMPION) == version:
            return "promoted"
        return "challenger" if self._pointed_at(CHALLENGER) == version else "passed"

    def _was(self, alias: str, version: int) -> bool:
        """Whether an alias has ever been moved to a version."""
        return any(
            (event.kind, event.alias, event.version) == ("promote", alias, version)
            for event in self._events()
        )

    def _made(self) -> RegistryEvent | None:
        """The event that added the candidate of this key, if there is one."""
        for event in self._events():
            made = event.evidence.get("retrain", {})
            if event.kind == "add" and made.get("key") == self.plan.key:
                return event
        return None

    def _events(self) -> Sequence[RegistryEvent]:
        return self.registry.history(self.name)

    def _pointed_at(self, alias: str) -> int | None:
        try:
            return self.registry.find(Reference(self.name, None, alias)).version
        except RegistryError as error:
            if error.code != "unknown_alias":
                raise
            return None

    def _result(
        self,
        version: int | None,
        outcome: Outcome,
        repeated: bool,
        reasons: Sequence[str],
        gate: Gate | None,
    ) -> Retraining:
        return Retraining(
            name=self.name,
            key=self.plan.key,
            parent=self.champion.version,
            version=version,
            outcome=outcome,
            repeated=repeated,
            reasons=tuple(reasons),
            gate=gate,
            folder=self.plan.folder,
        )
