import pytest

from seewhy.config.training import TrainConfig
from seewhy.training.schedules import dropout_rate, in_words, lr_factor


def test_cosine_falls_from_one_to_zero_through_a_half():
    config = TrainConfig(epochs=10, schedule="cosine")
    assert [lr_factor(config, e) for e in (0, 5, 10)] == pytest.approx([1, 0.5, 0])


def test_linear_falls_evenly_after_its_warm_up():
    config = TrainConfig(epochs=10, schedule="linear", lr=0.1, final_lr=0.01, warmup=2)
    assert [lr_factor(config, epoch) for epoch in (1, 2, 6, 10)] == pytest.approx(
        [0.5, 1, 0.55, 0.1]
    )
    assert lr_factor(TrainConfig(epochs=10, schedule="linear"), 10) == 0.0


def test_cosine_ends_at_the_final_rate():
    config = TrainConfig(epochs=45, lr=1e-3, final_lr=1e-4)
    rates = [config.lr * lr_factor(config, epochs) for epochs in (0, 22.5, 45)]
    assert rates == pytest.approx([1e-3, 5.5e-4, 1e-4])


def test_warmup_rises_in_a_line_before_the_schedule():
    config = TrainConfig(epochs=10, schedule="cosine", warmup=2)
    assert [lr_factor(config, e) for e in (1, 2, 6, 10)] == pytest.approx([0.5, 1, 0.5, 0])
    assert lr_factor(config, 0) > 0


def test_one_cycle_peaks_at_three_tenths():
    config = TrainConfig(epochs=10, schedule="one_cycle")
    assert [lr_factor(config, e) for e in (0, 3, 10)] == pytest.approx([0.04, 1, 1e-4])


def test_constant_is_constant():
    config = TrainConfig(epochs=10, schedule="constant")
    assert {lr_factor(config, e) for e in (0, 3.3, 10)} == {1.0}


def test_range_rises_by_the_same_factor_every_epoch():
    config = TrainConfig(epochs=6, schedule="range")
    assert [lr_factor(config, e) for e in (0, 1, 5, 6)] == pytest.approx([1e-6, 1e-5, 0.1, 1])


@pytest.mark.parametrize(
    ("rates", "epochs", "expected"),
    [
        ((0.1, 0.2, 0.3), 3, [0.1, 0.2, 0.3]),
        ((0.1, 0.2), 4, [0.1, 0.1, 0.2, 0.2]),
        ((0.1, 0.2), 3, [0.1, 0.1, 0.2]),
        ((0.0,), 2, [0.0, 0.0]),
        ((0.1, 0.2, 0.3, 0.4), 2, [0.1, 0.3]),
        (None, 2, [None, None]),
    ],
)
def test_each_dropout_rate_has_an_equal_part_of_the_epochs(rates, epochs, expected):
    config = TrainConfig(epochs=epochs, dropout_schedule=rates)
    assert [dropout_rate(config, done) for done in range(epochs)] == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": "adam", "momentum": 0.9}, "momentum has no effect"),
        ({"plateau_factor": 0.5}, "plateau_factor has no effect with schedule=cosine"),
        ({"warmup": 10, "epochs": 10}, "must be below epochs"),
        ({"schedule": "one_cycle", "warmup": 1}, "no effect"),
        ({"schedule": "range", "warmup": 1}, "no effect"),
        ({"schedule": "constant", "final_lr": 1e-4}, "final_lr has no effect"),
        ({"lr": 1e-3, "final_lr": 1e-3}, "must be below lr"),
        ({"weight_decay_on": "kernels"}, "no effect without weight_decay"),
        ({"dropout_schedule": (0.96,)}, "less than or equal to 0.95"),
        ({"dropout_schedule": ()}, "at least 1"),
        ({"dropout_schedule": (0.1,), "compile": True}, "choose one"),
        ({"class_weights": "balanced", "sampling": "balanced"}, "choose one"),
    ],
)
def test_an_option_without_effect_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"schedule": "constant"}, ""),
        ({"final_lr": 0.001}, "half a cosine from 0.1 to 0.001"),
        ({"warmup": 1}, "half a cosine from 0.1 to 0"),
        ({"schedule": "linear"}, "a straight line from 0.1 to 0"),
        ({"schedule": "one_cycle"}, "up to 0.1 at epoch 3, then down to almost 0"),
        ({"schedule": "range"}, "up to 0.1"),
        (
            {"schedule": "plateau", "plateau_patience": 1},
            "times 0.5 after 1 epoch without a better accuracy",
        ),
    ],
)
def test_a_schedule_in_words(fields, words):
    assert in_words(TrainConfig(epochs=10, lr=0.1, **fields)) == words
