"""Tables of a benchmark."""

from __future__ import annotations

import pandas as pd

from cryomae.sampler.benchmark.statistics import LEVEL, compare_pairs, tally

SPREAD = ("aubc", "accuracy", "macro_f1", "seconds", "select_seconds")
"""Figures that are given as mean ± standard deviation over seeds."""


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a data set and strategy, best mean AUBC first, what failed last.

    Parameters
    ----------
    runs : DataFrame
        What `Store.table` gives.

    Returns
    -------
    DataFrame
        ``dataset``, ``strategy``, ``done``, ``failed``; mean and ``_sd`` of every figure in
        `SPREAD`; ``win``, ``tie``, ``loss`` against the other strategies on this data set;
        ``error``: the first one.
    """
    rows = []
    for (dataset, strategy), own in runs.groupby(["dataset", "strategy"], sort=False):
        bad = own["error"] != ""
        row = {"dataset": dataset, "strategy": strategy, "done": (~bad).sum(), "failed": bad.sum()}
        for name in SPREAD:
            row |= {name: own[name].mean(), f"{name}_sd": own[name].std()}
        rows.append(row | {"error": own.loc[bad, "error"].iloc[0] if bad.any() else ""})
    columns = ["dataset", "strategy", "done", "failed", "error"]
    columns[4:4] = [c for name in SPREAD for c in (name, f"{name}_sd")]
    table = pd.DataFrame(rows, columns=columns)
    place = {name: i for i, name in enumerate(dict.fromkeys(table["dataset"]))}
    table = table.assign(place=table["dataset"].map(place))
    table = table.sort_values(["place", "aubc"], ascending=[True, False], kind="stable")
    return _with_tally(table.drop(columns="place").reset_index(drop=True), compare_pairs(runs))


def _with_tally(table: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    counts = [
        tally(own).assign(dataset=dataset).rename_axis("strategy").reset_index()
        for dataset, own in pairs.groupby("dataset", sort=False)
    ]
    if not counts:
        return table.assign(win=0, tie=0, loss=0)
    merged = table.merge(pd.concat(counts), on=["dataset", "strategy"], how="left")
    return merged.fillna({"win": 0, "tie": 0, "loss": 0}).astype(
        {"win": int, "tie": int, "loss": int}
    )


def overall(summary: pd.DataFrame) -> pd.DataFrame:
    """One row a strategy over all data sets, best mean rank first.

    Columns ``strategy``, ``rank`` (mean over data sets that it finished on, 1 is best),
    ``win``, ``tie``, ``loss`` and ``failed`` (runs).
    """
    ranks = summary.groupby("dataset")["aubc"].rank(ascending=False)
    table = (
        summary.assign(rank=ranks)
        .groupby("strategy", sort=False)
        .agg(
            rank=("rank", "mean"),
            win=("win", "sum"),
            tie=("tie", "sum"),
            loss=("loss", "sum"),
            failed=("failed", "sum"),
        )
        .reset_index()
    )
    return table.sort_values("rank", kind="stable").reset_index(drop=True)


HEADINGS = (
    "strategy",
    "AUBC",
    "final accuracy",
    "final macro F1",
    "s a run",
    "s in strategy",
    "win / tie / loss",
    "runs",
)


def cells(row: pd.Series) -> list[str]:
    """Texts of one row of `summarise` under `HEADINGS`."""
    runs = f"{row['done']}" + (f", {row['failed']} failed" if row["failed"] else "")
    if not row["done"]:
        return [row["strategy"], *["–"] * (len(HEADINGS) - 2), runs]
    return [
        row["strategy"],
        *(_spread(row, name, 4) for name in ("aubc", "accuracy", "macro_f1")),
        *(_spread(row, name, 2) for name in ("seconds", "select_seconds")),
        f"{row['win']} / {row['tie']} / {row['loss']}",
        runs,
    ]


def _spread(row: pd.Series, name: str, digits: int) -> str:
    spread = row[f"{name}_sd"]
    text = f"{row[name]:.{digits}f}"
    return text if pd.isna(spread) else f"{text} ± {spread:.{digits}f}"


def markdown(summary: pd.DataFrame) -> str:
    """The tables as Markdown, a section a data set."""
    parts = []
    for dataset, own in summary.groupby("dataset", sort=False):
        lines = [f"## {dataset}", "", _line(HEADINGS), _line(["---"] * len(HEADINGS))]
        lines += [_line(cells(row)) for _, row in own.iterrows()]
        lines += [
            f"\n{row['strategy']} failed in {row['failed']} of {row['failed'] + row['done']} runs: "
            f"{row['error']}"
            for _, row in own[own["failed"] > 0].iterrows()
        ]
        parts.append("\n".join(lines))
    note = (
        "Mean ± standard deviation over seeds; s: seconds of a run, and of the strategy in it. "
        "AUBC: mean accuracy over the budget. Win, tie, loss: against each other strategy, by "
        f"the paired Wilcoxon test over seeds at {LEVEL:.0%}, corrected (Holm) within the data set."
    )
    return "\n\n".join([*parts, note]) + "\n"


def _line(texts: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(text.replace('|', '/') for text in texts)} |"
