import csv
import json

import pytest
from helpers import QUICK

from seewhy.config.plan import make_plan
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import by_name
from seewhy.events import RunStarted
from seewhy.workflows.experiments.ablation import ablate

SETTINGS = QUICK | {"train.epochs": 4}
ROWS = {
    "no learning": {"with": {"train.lr": 1e-9}},
    "a breath of light": {"with": {"augment.brightness": 0.001}},
    "still no learning": {"after": "no learning", "with": {"train.ema": 0.5}},
    "plain": {"recipe": "simple-cnn"},
}


def plan(rows=ROWS, seeds=4, **fields):
    return make_plan({"recipe": "regularized-cnn", "seeds": seeds, "rows": rows, **fields}, "plan")


@pytest.fixture(scope="module")
def found(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("ablation") / "a"
    return ablate(photos, plan(target=0.5, about="x"), out=out, overrides=SETTINGS)


def row(result, name):
    return next(row for row in result.rows if row.name == name)


def test_a_planted_effect_is_found_and_a_null_effect_is_not(found):
    assert row(found, "no learning").verdict == "lower"
    assert row(found, "no learning").p < 0.05
    assert row(found, "no learning").difference.high < 0
    for name in ("a breath of light", "still no learning"):
        assert row(found, name).verdict == "no difference shown"
    assert found.rows[0].verdict == "" and found.rows[0].difference is None


def test_differences_are_paired_with_the_row_before(found):
    base, slow = found.rows[0], row(found, "no learning")
    still = row(found, "still no learning")
    assert (slow.after, still.after) == ("regularized-cnn", "no learning")
    for one, other in ((slow, base), (still, slow)):
        pairs = zip(one.figures["score"].values, other.figures["score"].values, strict=True)
        assert one.difference.values == tuple(a - b for a, b in pairs)


def test_the_figures_of_a_row_are_those_of_its_runs(found):
    base = found.rows[0]
    values = {name: summary.values for name, summary in base.figures.items()}
    for place, run in enumerate(base.runs.values()):
        train = run.metrics["train"]["accuracy"]["value"]
        val, history = by_name(run.metrics["val"])["accuracy"], run.history
        best = max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
        reached = [row["epoch"] for row in history if row["val_accuracy"] >= 0.5]
        assert values["accuracy"][place] == values["score"][place] == val
        assert values["train_accuracy"][place] == train
        assert values["gap"][place] == train - val
        assert values["best_epoch"][place] == best["epoch"]
        assert values["running_accuracy"][place] == best["train_accuracy"]
        assert values["running_gap"][place] == best["train_accuracy"] - best["val_accuracy"]
        assert values["epochs"][place] == 4
        assert values["target_epochs"][place] == reached[0]
        assert 0 < values["target_seconds"][place] <= values["seconds"][place]
    assert base.figures["parameters"].mean != row(found, "plain").figures["parameters"].mean


def test_the_table_is_there_as_json_csv_and_markdown(found):
    stored = json.loads((found.path / "ablation.json").read_text())
    assert [one["name"] for one in stored["rows"]] == [one.name for one in found.rows]
    assert stored["rows"][1]["difference"]["mean"] == found.rows[1].difference.mean
    with open(found.path / "ablation.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["verdict"] for line in lines] == [one.verdict for one in found.rows]
    assert float(lines[1]["difference"]) == pytest.approx(found.rows[1].difference.mean, abs=1e-5)
    text = (found.path / "ablation.md").read_text()
    assert all(f"| {one.name} " in text for one in found.rows)


def test_a_finished_ablation_is_only_read_and_a_row_can_be_added(photos, found, monkeypatch):
    begun = []

    def show(event):
        if isinstance(event, RunStarted):
            begun.append(event.name)

    before = {run.model: run.model.stat().st_mtime_ns for run in found.rows[0].runs.values()}
    rows = {"new": {"with": {"train.lr": 0.002}}, **ROWS}
    more = ablate(photos, plan(rows), out=found.path, overrides=SETTINGS, on_event=show)
    assert len(begun) == 6 * 4 and begun[4] == "new, seed 0"
    assert {model: model.stat().st_mtime_ns for model in before} == before
    assert row(more, "plain").figures["score"] == row(found, "plain").figures["score"]


def test_nothing_is_trained_where_it_is_done(photos, found, no_training):
    again = ablate(photos, plan(), out=found.path, overrides=SETTINGS)
    assert [one.difference for one in again.rows] == [one.difference for one in found.rows]


def test_a_row_that_diverges_is_a_result(photos, tmp_path):
    rows = {"wild": {"with": {"train.lr": 1e30}}, "slow": {"with": {"train.lr": 1e-9}}}
    found = ablate(photos, plan(rows, seeds=2), out=tmp_path / "a", overrides=QUICK)
    wild, slow = row(found, "wild"), row(found, "slow")
    assert wild.diverged == (0, 1) and wild.difference is None and not wild.runs
    assert slow.difference is not None and slow.p == slow.difference.p  # one test alone
    text = (tmp_path / "a" / "ablation.md").read_text()
    assert "wild: the loss diverged with seed 0, 1" in text
    again = ablate(photos, plan(rows, seeds=2), out=tmp_path / "a", overrides=QUICK)
    assert row(again, "wild").diverged == (0, 1)
    rows["wild"] = {"with": {"train.lr": 0.002}}  # what diverged was another row
    with pytest.raises(UsageError, match=r"started with train\.lr=1e\+30, not 0\.002"):
        ablate(photos, plan(rows, seeds=2), out=tmp_path / "a", overrides=QUICK)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"with": {"train.lr": -1}}, r"train\.lr"),
        ({"with": {"model.width": 2}}, "width has no effect with name=regularized_cnn"),
    ],
)
def test_a_row_that_does_not_fit_stops_all_before_it_begins(photos, tmp_path, bad, message):
    rows = {"good": {"with": {"train.lr": 0.5}}, "bad": bad}
    with pytest.raises(UsageError, match=f"row 'bad'.*{message}"):
        ablate(photos, plan(rows), out=tmp_path / "a", overrides=QUICK)
    assert not (tmp_path / "a").exists()
