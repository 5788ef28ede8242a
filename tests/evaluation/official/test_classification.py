"""Our scores of classifiers against the challenges' own scorer, on its label files."""

import csv

import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import CLASSES
from melanoma_tf.evaluation.predictions import CLASS_CODES, Predictions, read_predictions
from melanoma_tf.evaluation.score import align_with_truth, score_predictions
from melanoma_tf.evaluation.strict import check_submission
from melanoma_tf.evaluation.submissions import FORMATS, write_submission
from melanoma_tf.evaluation.truth import read_truth

TRUTHS = ("ISIC2018_Task3_Validation_GroundTruth.csv", "ISIC2018_Task3_Test_GroundTruth.csv")
# Official name -> ours; ours are by class, and averaged under `macro_average`.
METRICS = {
    "accuracy": "class_accuracy", "sensitivity": "sensitivity", "specificity": "specificity",
    "dice": "dice", "ppv": "ppv", "npv": "npv", "auc": "auc",
    "auc_sens_80": "auc_above_sensitivity_80", "ap": "average_precision",
}  # fmt: skip
KINDS = ("random", "good", "tied", "one-hot", "constant", "never called", "perfect", "weighted",
         "one class absent")  # fmt: skip
RANKED_BY = ("balanced_accuracy", "auc", "ap")


def read_rows(path):
    with path.open(newline="") as stream:
        header, *rows = list(csv.reader(stream))
    return header, rows


def write_rows(path, header, rows):
    with path.open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    return path


def made(kind, flags, generator):
    """Scores of a kind for one-hot flags `(images, classes)`."""
    scores = generator.random(flags.shape)
    if kind == "constant":
        return np.full(flags.shape, 0.25)
    if kind == "perfect":
        return 0.75 * flags + 0.125
    if kind != "random":
        scores = 0.5 * scores + 0.5 * flags * generator.random((len(flags), 1)) ** 0.5
    if kind == "tied":
        scores = np.round(scores, 1)
    if kind == "one-hot":
        scores = np.eye(flags.shape[1])[scores.argmax(axis=1)]
    if kind == "never called":
        scores[:, 2] *= 0.4
    return scores


def case_of(folder, truth, kind, seed):
    """Write a truth and a submission of a kind, rows and columns shuffled."""
    generator = np.random.default_rng([seed, KINDS.index(kind)])
    header, rows = read_rows(truth)
    classes = header[1:]
    flags = np.array([row[1:] for row in rows], float)
    if kind == "one class absent":
        kept = flags[:, 3] == 0
        rows, flags = [row for row, keep in zip(rows, kept) if keep], flags[kept]
    folder.mkdir()
    given = [row[:] for row in rows]
    if kind == "weighted":
        weights = generator.integers(0, 4, (2, len(rows))) / 2
        given = [[*row, *pair] for row, pair in zip(given, weights.T.tolist())]
        header = [*header, "score_weight", "validation_weight"]
    truth_path = write_rows(folder / "truth.csv", header, given)
    order = generator.permutation(len(rows))
    columns = generator.permutation(len(classes))
    scores = made(kind, flags, generator)[order][:, columns]
    names = [rows[index][0] + (".jpg" if seed % 2 else "") for index in order]
    lines = [[name, *map(repr, row)] for name, row in zip(names, scores.tolist())]
    header = ["image", *(classes[index] for index in columns)]
    return {
        "kind": "classification",
        "truth": truth_path,
        "predictions": write_rows(folder / "submission.csv", header, lines),
        "metric": RANKED_BY[seed % 3],
    }


def ours(case):
    check_submission(case["predictions"], case["truth"])
    labelled = align_with_truth(read_predictions(case["predictions"]), read_truth(case["truth"]))
    return score_predictions(labelled, rounds=0, official=True)


def assert_equal(found, official, ranked_by, where):
    def same(mine, theirs, name):
        if theirs is None or mine is None:
            assert mine is None or theirs is None, (where, name)
            return 0
        assert mine == pytest.approx(theirs, rel=0, abs=1e-12), (where, name)
        return 1

    compared = 0
    for metric, name in METRICS.items():
        by_class = official["per_category"][metric]
        for index, value in enumerate(by_class.values()):
            # The official table is by row number, in the order of the truth's columns.
            compared += same(found[name][found["order"][index]], value, (metric, index))
        if metric != "auc_sens_80" or None not in by_class.values():
            mine = found["macro_average"][name]
            compared += same(mine, official["macro_average"][metric], ("macro", metric))
    compared += same(
        found["balanced_accuracy"], official["aggregate"]["balanced_accuracy"], "aggregate"
    )
    validation = found.get("validation", found)
    mine = {
        "balanced_accuracy": validation["balanced_accuracy"],
        "auc": validation["macro_average"]["auc"],
        "ap": validation["macro_average"]["average_precision"],
    }[ranked_by]
    return compared + same(mine, official["validation"], "validation")


def test_every_score_is_the_official_one(real_data, tmp_path, official_scores):
    labels = real_data / "labels"
    cases = [
        case_of(tmp_path / f"{index}-{kind}-{seed}", labels / file, kind, seed)
        for index, (file, seeds) in enumerate(zip(TRUTHS, (6, 1)))
        for kind in KINDS
        for seed in range(seeds)
    ]
    cases += [
        case_of(tmp_path / f"2019-{kind}", labels / "ISIC_2019_Training_GroundTruth.csv", kind, 0)
        for kind in ("tied",)
    ]
    assert len(cases) >= 60
    compared = 0
    for case, official in zip(cases, official_scores(cases)):
        assert "refused" not in official, (case, official)
        found = ours(case)
        classes = read_rows(case["truth"])[0][1:]
        codes = [name for name in classes if not name.endswith("_weight")]
        found["order"] = [CLASS_CODES[code] for code in codes]
        compared += assert_equal(found, official, case["metric"], case["predictions"])
    assert compared > 60 * 60


FAULTS = {
    "an integer column": lambda header, rows: (header, [[r[0], "1", *r[2:]] for r in rows]),
    "a percentage": lambda header, rows: (
        header,
        [[*rows[0][:1], "55.5", *rows[0][2:]], *rows[1:]],
    ),
    "a negative value": lambda h, rows: (h, [[*rows[0][:1], "-0.5", *rows[0][2:]], *rows[1:]]),
    "an empty cell": lambda header, rows: (header, [[*rows[0][:2], "", *rows[0][3:]], *rows[1:]]),
    "NaN": lambda header, rows: (header, [[*rows[0][:2], "NaN", *rows[0][3:]], *rows[1:]]),
    "a word": lambda header, rows: (header, [[*rows[0][:2], "high", *rows[0][3:]], *rows[1:]]),
    "infinity": lambda header, rows: (header, [[*rows[0][:2], "inf", *rows[0][3:]], *rows[1:]]),
    "another key column": lambda header, rows: (["image_id", *header[1:]], rows),
    "a column too few": lambda header, rows: (header[:-1], [row[:-1] for row in rows]),
    "a column too many": lambda h, rows: ([*h, "extra"], [[*row, "0.5"] for row in rows]),
    "an index column": lambda h, rows: (["", *h], [[str(i), *r] for i, r in enumerate(rows)]),
    "a row too few": lambda header, rows: (header, rows[1:]),
    "a row too many": lambda header, rows: (header, [*rows, ["ISIC_9999999", *rows[0][1:]]]),
    "a row twice": lambda header, rows: (header, [*rows, rows[0]]),
    "no rows": lambda header, rows: (header, []),
    "lower case": lambda header, rows: (["image", *map(str.lower, header[1:])], rows),
    "a row cut short": lambda header, rows: (header, [rows[0][:3], *rows[1:]]),
    "spaces in the header": lambda h, rows: ([h[0], *(f" {name}" for name in h[1:])], rows),
}


def faulty(folder, name, truth):
    header, rows = read_rows(truth)
    scores = np.random.default_rng(0).random((len(rows), len(header) - 1))
    lines = [[row[0], *map(repr, each)] for row, each in zip(rows, scores.tolist())]
    return write_rows(folder / f"{name}.csv", *FAULTS[name](header, lines))


def test_strict_refuses_what_the_official_scorer_refuses(real_data, tmp_path, official_scores):
    truth = real_data / "labels" / TRUTHS[0]
    paths = {name: faulty(tmp_path, name, truth) for name in FAULTS}
    good = faulty(tmp_path, "an empty cell", truth).with_name("semicolons.csv")
    good.write_text(truth.read_text().replace(",", ";"))
    paths["semicolons"] = good
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"image,MEL\n\xff\xfe\n\n")
    paths["bytes"] = binary
    cases = [
        {"kind": "classification", "truth": truth, "predictions": path} for path in paths.values()
    ]
    for name, official in zip(paths, official_scores(cases)):
        assert "refused" in official, name
        with pytest.raises(MelanomaError) as refusal:
            check_submission(paths[name], truth)
        assert str(paths[name]) in str(refusal.value)
        assert "\n" not in str(refusal.value)


def written_for(folder, name):
    """A submission in a format, and a truth with the same columns.

    The scorer knows the key `image` only, so that the key is renamed.
    """
    names = CLASSES[FORMATS[name].taxonomy or "melanoma"]
    generator = np.random.default_rng(0)
    scores = np.concatenate([np.eye(len(names)), generator.dirichlet(np.ones(len(names)), 40)])
    ids = tuple(f"ISIC_{index:07d}" for index in range(len(scores)))
    written = folder / f"{name}.csv"
    write_submission(written, Predictions(ids, scores, names), name)
    columns = list(FORMATS[name].columns)
    lines = written.read_text().splitlines()[FORMATS[name].header :]
    submission = folder / f"{name}-keyed.csv"
    submission.write_text("\n".join([",".join(["image", *columns]), *lines, ""]))
    flags = np.eye(len(columns))[np.arange(len(ids)) % len(columns)]
    if len(columns) < 3:
        flags[::2] = 0
    rows = [[key, *map(str, row)] for key, row in zip(ids, flags.tolist())]
    truth = write_rows(folder / f"{name}-truth.csv", ["image", *columns], rows)
    return {"kind": "classification", "truth": truth, "predictions": submission}


def test_files_that_format_writes_are_accepted(tmp_path, official_scores):
    cases = [written_for(tmp_path, name) for name in FORMATS]
    for case, official in zip(cases, official_scores(cases)):
        assert "refused" not in official, (case, official)
        check_submission(case["predictions"], case["truth"])
