"""Figures of speeds say what was not measured."""

from types import SimpleNamespace

from plots.test_analysis import texts
from plots.test_metrics import drawn

from seewhy.plots.benchmark import speed_bars, training_bars


def test_memory_that_is_not_known_is_not_drawn_as_0() -> None:
    speed = SimpleNamespace(
        recipe="fast",
        format="float32",
        parts=dict.fromkeys(("data", "forward", "backward", "step", "rest"), 0.001),
        images_per_second=100.0,
        conv_share=0.5,
        memory_mb=None,
    )
    written = [text.get_text() for text in texts(drawn(training_bars, [speed], 1))]
    assert "not known" in written and "0" not in written


def test_one_thread_is_one_thread() -> None:
    speed = SimpleNamespace(
        model="m", runtime="onnx", p50_ms=1, p99_ms=2, images_per_second=9, startup_s=1, memory_mb=9
    )
    assert drawn(speed_bars, [speed], 1).get_suptitle().endswith(", 1 thread")
