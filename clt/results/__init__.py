"""What a notebook found and what its record says, for tables, slides and the report.

- :mod:`clt.results.text`: numbers as text, printed in one way;
- :mod:`clt.results.measured`: what the notebook measures now, on this machine;
- :mod:`clt.results.records`: the committed long run of the same notebook, and claims that hold on it;
- :mod:`clt.results.texts`: the same differences over test texts instead of seeds;
- :mod:`clt.results.trials`: variants × seeds, measured once each;
- :mod:`clt.results.papers`: the papers' tables, beside both;
- :mod:`clt.results.files`: files replaced whole.
"""

from clt.results.measured import folder, measured, read
from clt.results.papers import PUBLISHED, beside_paper, compare, notes, published
from clt.results.records import RECORDED, Difference, Record, assert_above, assert_live, difference, recorded
from clt.results.text import aligned, number, spread, table
from clt.results.texts import over_texts, packed, unpacked
from clt.results.trials import trials

__all__ = [
    "PUBLISHED", "RECORDED", "Difference", "Record", "aligned", "assert_above", "assert_live", "beside_paper",
    "compare", "difference", "folder", "measured", "notes", "number", "over_texts", "packed", "published", "read",
    "recorded", "spread", "table", "trials", "unpacked",
]  # fmt: skip
