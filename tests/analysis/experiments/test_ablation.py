from math import nan
from pathlib import Path

from seewhy.analysis.experiments.ablation import (
    Ablation,
    Measured,
    ResultRow,
    as_csv,
)
from seewhy.evaluation.stats.summary import difference, summarise
from seewhy.text import in_points


def result_row(name, scores, after=None, against=None, p=None, **figures):
    values = {field: [1.0] * len(scores) for field in Measured.__dataclass_fields__}
    values |= {"score": scores, "gap": [0.031] * len(scores), **figures}
    return ResultRow(
        name=name,
        changes="",
        after=after,
        runs=dict.fromkeys(range(len(scores))),
        diverged=(),
        figures={field: summarise(found) for field, found in values.items()},
        difference=None if against is None else difference(scores, against),
        p=p,
    )


BASE = [0.70, 0.71, 0.72]


def table(*rows, metric="accuracy", target=None):
    base = result_row("base", BASE)
    return Ablation(Path("a"), "Why", metric, "max", (0, 1, 2), target, (base, *rows))


def cells(text, name):
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_reads_as_mean_difference_and_p():
    other = result_row("other", [0.75, 0.77, 0.76], "base", BASE, 0.0213)
    text = table(other).markdown()
    assert cells(text, "base")[1:3] == ["71.00% ± 1.00%", ""]
    assert cells(text, "other")[1:6] == [
        *("76.00% ± 1.00%", "+5.00 (+2.52 to +7.48)", "0.021", "100.0%", "+3.1"),
    ]
    assert text.startswith("Why\n") and "3 seeds (0 to 2)" in text
    assert "corrected for 1 row (Holm)" in text
    assert len({len(line) for line in text.splitlines() if line.startswith("|")}) == 1


def test_the_row_that_one_is_compared_with_is_named_where_it_is_not_the_base():
    first = result_row("first", [0.75, 0.77, 0.76], "base", BASE, 0.02)
    second = result_row("second", [0.75, 0.77, 0.76], "first", [0.7, 0.7, 0.8], 0.5)
    assert "against" not in table(first).markdown()
    assert cells(table(first, second).markdown(), "second")[2] == "first"


def test_brief_leaves_columns_out_and_a_target_adds_two():
    other = result_row("a|b", BASE, "base", BASE, 1.0, target_epochs=[3, nan, 4])
    full, (titles, base, row) = table(other, target=0.6).markdown(), table(other, target=0.6).brief
    assert "parameters" in full and "parameters" not in titles
    assert "epochs to 0.6" in titles and "3.5 (2)" in row and row[0] == "a|b"
    assert len(titles) == len(base) == len(row) and "a\\|b" in full


def test_a_loss_is_no_percentage():
    other = result_row("other", [1.5, 1.6, 1.9], "base", [1.4, 1.5, 1.6], nan)
    text = table(other, metric="loss").markdown()
    assert cells(text, "other")[1:4] == ["1.6667 ± 0.2082", "+0.1667 (-0.1202 to +0.4535)", "-"]
    one = difference([0.75], [0.7])
    assert in_points(one.mean, one.low, one.high, "accuracy") == "+5.00"


def test_no_cell_of_the_csv_is_a_formula():
    text = as_csv(table(result_row("=1+1", BASE, "base", BASE, 1.0)))
    assert "\n'=1+1," in text.replace("\r", "")
