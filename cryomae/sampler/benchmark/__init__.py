"""Compare strategies by the field's pool-based protocol; nothing here imports the rest of cryomae.

The protocol is that of the IJCAI-2021 survey: 40 % of the rows test, 20 labels at the start,
an RBF-SVM on standardised features, area under the budget curve (AUBC) over many seeds.
"""

from cryomae.sampler.benchmark.datasets import Dataset, DatasetError, find_datasets, load_dataset
from cryomae.sampler.benchmark.metrics import aubc
from cryomae.sampler.benchmark.protocol import Curve, Protocol, run_experiment

__all__ = [
    "Curve",
    "Dataset",
    "DatasetError",
    "Protocol",
    "aubc",
    "find_datasets",
    "load_dataset",
    "run_experiment",
]
