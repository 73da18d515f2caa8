import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from page.conftest import made, with_analysis

from seewhy.analysis.slices import Slices
from seewhy.evaluation.decision.record import Decision
from seewhy.evaluation.stats.intervals import exact
from seewhy.evaluation.stats.significance import SIGNIFICANT
from seewhy.events import Diagnostic, Note
from seewhy.inference import bundle as bundles
from seewhy.page.report import render
from seewhy.page.stored import read_stored
from seewhy.run import Run

PINNED = Path(__file__).parents[1] / "pinned"


@pytest.fixture(scope="module")
def run():
    return made(("ant", "bee", "cow"))


def test_the_page_asks_for_nothing(run):
    html = render(run[0], "photos", run[1])
    assert "default-src 'none'" in html
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", html)
    assert "style=" not in html  # the policy allows the one style sheet alone


def test_test_figures_appear_once_read_with_the_number_of_the_reading(run):
    stored, pictures = run
    html = render(stored, "photos", pictures)
    assert "Test, evaluation" not in html and "--split test" in html
    read = replace(stored, test=replace(stored.val, reading=3))
    assert "Test, evaluation 3" in render(read, "photos", pictures)


def test_the_level_of_significance_is_that_of_the_tests(run):
    slices = Slices(300, exact(1, 3), 7, ())
    stored = with_analysis(run[0], slices=slices)
    assert f"corrected p-value below {SIGNIFICANT}." in render(stored, "photos", None)


def test_of_few_images_no_slice_is_tested_and_none_is_listed(run):
    html = render(with_analysis(run[0], slices=Slices(24, exact(1, 24), 0, ())), "photos", None)
    assert "A slice is tested if it has 30 validation images" in html and "Listed are" not in html


def test_the_maps_are_said_to_be_untested_with_the_command_that_tests_them(run):
    html = render(run[0], "my photos", run[1])
    assert "The maps on this page are not tested." in html
    assert "seewhy explain runs/fast --data &#39;my photos&#39; --only wrong --out why" in html


def test_a_model_trained_again_is_said_to_have_another_digest(run):
    html = render(run[0], "photos", None)
    assert "has the same weights. Its digest\ndiffers" in html.partition('id="again"')[2]


def test_no_caption_promises_an_interval_that_a_narrow_page_leaves_out(run):
    assert "Below each recall" not in render(run[0], "photos", None)


def test_without_analysis_the_page_names_the_command(run):
    html = render(replace(run[0], val=replace(run[0].val, analysis=None)), "photos", None)
    assert "seewhy evaluate runs/fast --data photos --full" in html
    assert 'id="gallery"' not in html and "<dialog" not in html


def test_links_to_the_drawings_are_there_where_these_are(run):
    assert 'href="figures/curves.svg"' in render(run[0], "photos", None, figures="figures")
    assert "curves.svg" not in render(run[0], "photos", None)


def test_many_classes_have_a_list_in_place_of_a_matrix():
    stored, pictures = made(tuple(f"class {k}" for k in range(30)))
    html = render(stored, "photos", pictures)
    assert 'id="matrix"' not in html and "data-said=" in html


def test_a_run_without_a_mistake_has_its_page():
    stored, pictures = made(("only", "none"), n=2)
    assert "<h1>" in render(stored, "photos", pictures)


def test_equal_results_are_an_equal_page(run):
    assert render(run[0], "photos", run[1]) == render(run[0], "photos", run[1])


def test_a_run_that_kept_no_events_says_that_its_diagnostics_are_worked_out_again(tmp_path, run):
    assert "has no events.jsonl" not in render(run[0], "photos", None)
    old = Run(Path(shutil.copytree(PINNED / "finished", tmp_path / "run")))
    assert old.events is None
    stored = read_stored(old)
    assert stored.derived and "has no events.jsonl" in render(stored, "digits", None)
    *rows, last = old.history
    old.write_history([*rows, {**last, "train_loss": 3.0, "train_accuracy": 0.1}])
    few, diverging = read_stored(old).diagnostics
    assert (few.kind, diverging.kind) == ("few steps", "diverging")
    noticed = [diverging, Diagnostic("flat images", "flat images", "look"), diverging]
    old.add_events([Note("a note"), *noticed], 0)
    stored = read_stored(old)
    assert stored.diagnostics == tuple(noticed[:2]) and not stored.derived


def test_a_calibrated_file_in_the_run_is_noticed(tmp_path):
    run = Run(Path(shutil.copytree(PINNED / "finished", tmp_path / "run")))
    assert not read_stored(run).abstains
    (run.path / "damaged.safetensors").write_bytes(b"x")
    made_from = {"sure": bundles.load(run.model).digest, "of another": "0" * 64}
    for name in ("of another", "sure"):
        assert not read_stored(run).abstains
        decision = Decision(threshold=0.5)
        bundle = replace(bundles.load(run.model), decision=decision, digest="")
        bundles.save(replace(bundle, parents=(made_from[name],)), run.path / f"{name}.safetensors")
    assert read_stored(run).abstains
