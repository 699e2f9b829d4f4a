"""Right solutions as students write them, at least three for each exercise: ``EXERCISE__how`` in a module of ``right``.

The one called ``__plain`` is also what the mutants are made from, where it is code.
"""

from right import (
    algorithms,
    context,
    labelled,
    languages,
    large_batches,
    leaderboard,
    maps,
    memory,
    negatives,
    pictures,
    predicting,
    retrieval,
    siamese,
    softmax,
    transfer,
    triplets,
    values,
)

SOLUTIONS: dict[str, dict] = {}
for _module in (
    algorithms, context, labelled, languages, large_batches, leaderboard, maps, memory, negatives, pictures, predicting,
    retrieval, siamese, softmax, transfer, triplets, values,
):  # fmt: skip
    for _name, _answer in vars(_module).items():
        if "__" in _name.strip("_") and not _name.startswith("_"):
            _exercise, _how = _name.split("__")
            SOLUTIONS.setdefault(_exercise, {})[_how] = _answer
