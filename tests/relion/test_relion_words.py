"""The command line that RELION builds from the tabs of an External job."""

from hypothesis import given
from hypothesis import strategies as st

from cryomae.relion.words import folder_of, split_labels

LABELS = st.from_regex(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", fullmatch=True)
VALUES = st.one_of(
    st.just(""),
    st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1).filter(
        lambda text: not text.startswith("--")
    ),
    st.floats(-1e6, 1e6).map(str),
)


@given(st.dictionaries(LABELS, VALUES), st.booleans(), st.booleans())
def test_labels_and_values_come_back(parameters, dashes, joined):
    words = []
    for label, value in parameters.items():
        label = "--" + (label.replace("_", "-") if dashes else label)
        if joined and value:
            words.append(f"{label}={value}")
        else:
            words += [label, value] if value else [label]
    assert split_labels(words) == parameters


@given(st.lists(st.text(max_size=8)), LABELS)
def test_the_job_folder_is_found_whatever_else_is_wrong(words, name):
    before = [word for word in words if not word.startswith("--o")]
    assert folder_of([*before, "--o", f"External/{name}/", "what", "--is", "this"]) == (
        f"External/{name}/"
    )
