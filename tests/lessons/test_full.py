"""The parameters ``full`` reach the end of every lesson: on the public sets, in a few steps, with small encoders.

What is cut stands in ``CUT`` and nowhere else; all other values are those of ``full.yaml``. The sets come from the
folder that ``CLT_DATA`` names. A run this short, of encoders this thin, teaches nothing, so a copy of the lesson runs
that claims nothing of what it measures (as it stands it is run with the parameters of its own): what is tested is that
every cell runs, and that what the published tables are set beside is on record.
"""

import gzip
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import kit
import nbformat
import pytest
import yaml

from clt import results

ROOT = Path(__file__).resolve().parents[2]
FULL = yaml.safe_load((ROOT / "notebooks" / "parameters" / "full.yaml").read_text(encoding="utf-8"))
ONE = {"seeds": [0], "encoder": "tiny"}
WIDE = ONE | {"encoder": "wide"}  # they count on clt-mini's 256 numbers
TWO = ONE | {"seeds": [0, 1]}  # for a spread
CUT = {
    "00_start_here": TWO | {"most": 300, "steps": 5},
    "01_triplet_loss": TWO | {"steps": 3, "most": 300, "text_steps": 1, "text_batch": 4},
    "02_nce": {"seeds": [0, 1], "wikipedia": 4000, "at_least": 5, "dimension": 32, "batch": 256, "steps": 4,
               "several_k": [1, 5]},
    "03_info_nce": TWO | {"text_pairs": 70, "text_steps": 1, "text_batch": 8, "head_steps": 2},
    "04_simcse": ONE | {"variants": ["labels, short"], "scored": ["sts/test"], "ablated": ["sts/dev"]},
    "05_supcon": ONE | {"variants": ["words, eight", "SupCon, eight"]},
    "06_label_aware": {"seeds": [0], "variants": ["label-aware, ours", "SupCon, ED fear"]},
    "07_twin_loss": ONE | {"variants": ["Twin Loss, short"], "scored": ["sts/test"], "compared": ["sts/test"]},
    "08_seeing": ONE | {"families": ["weight decay 0.0", "weight decay 0.003", "4 held out", "no push, decay 0.001"],
                        "maps": ["digits: SNE", "digits: symmetric SNE", "digits: t-SNE", "emotions: t-SNE"]},
    "09_predicting": {"seeds": [0], "variants": ["left to right, own text"], "public": False},  # here they are cut
    "10_context": ONE | {"variants": ["neighbours"], "momenta": [0.0, 0.99]},
    "11_siamese": ONE | {"variants": ["(u, v)"], "scored": ["sts/test"]},
    "12_augmentation": ONE | {"variants": ["none × none"], "public": []},
    "13_negatives": WIDE | {"variants": ["points: debiased", "duplicates, guided", "mined: filtered"]},
    "14_retrieval": ONE | {"variants": ["dense", "M3, self-distilled"], "public": [], "max_length": 64},
    "15_pictures": ONE | {"variants": ["CLIP, 16 pairs"]},
    "16_scale": ONE | {"variants": ["labels: 512, rate 0.001", "encoder: batches of 8"], "loss_sizes": [512, 1024]},
    "17_transfer": ONE | {"variants": ["kinds, 8: SetFit", "kinds, 8: SupCon"], "plans": []},
    "18_languages": ONE | {"variants": ["untrained, ours", "halves, ours", "not trained", "margin 0.3"],
                           "scored": ["chinese_sts/test"], "lexicons": []},
    "19_capstone": WIDE | {"variants": ["pairs: triplet", "half of it"], "scored": ["sts/test"], "steps": 6},
}  # fmt: skip
SILENT = """from clt import results

results.assert_live = lambda *names, **options: None  # it asks for the encoder of the record
"""
ABSENT = {"STS13", "STS16", "SICK-R"}  # these sets may be missing: results about them are recorded where they are not


@pytest.fixture(scope="session")
def public(tmp_path_factory) -> Path:
    """The folder of public sets, with the first lines in place of its million sentences, which take long to read."""
    folder, there = tmp_path_factory.mktemp("public"), Path(os.environ["CLT_DATA"])
    for source in (path for path in there.rglob("*") if path.is_file()):
        target = folder / source.relative_to(there)
        target.parent.mkdir(exist_ok=True, parents=True)
        if source.suffixes == [".txt", ".gz"]:
            with gzip.open(source, "rb") as lines, gzip.open(target, "wb", compresslevel=1) as short:
                short.writelines(itertools.islice(lines, 5000))
        else:
            target.symlink_to(source.resolve())
    return folder


@pytest.fixture(scope="session")
def encoders(thin) -> dict[str, str]:
    """Both have as many layers as clt-mini."""
    return {"tiny": str(thin(4)), "wide": str(thin(4, width=256))}


def silent(name: str, folder: Path) -> Path:
    """A copy of a lesson in ``folder`` without what it asserts of its own run."""
    notebook = nbformat.read(kit.NOTEBOOKS / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and not {"exercise", "solution"} & set(cell.metadata.get("tags", [])):
            cell.source = kit.without_asserts(cell.source)
    notebook.cells.insert(1, nbformat.v4.new_code_cell(SILENT))
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


def test_every_lesson_has_full_parameters():
    lessons = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert CUT.keys() == FULL.keys() == lessons


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("CLT_DATA"), reason="the public sets are not here: CLT_DATA names no folder")
@pytest.mark.parametrize("name", CUT)
def test_full_parameters_run_to_the_end(name, public, encoders, tmp_path):
    given = FULL[name] | CUT[name]
    if "encoder" in CUT[name]:
        given["encoder"] = encoders[given["encoder"]]
    (tmp_path / "short.yaml").write_text(yaml.safe_dump({name: given}), encoding="utf-8")
    command = [sys.executable, "-m", "clt.command", "run", "--parameters", "short.yaml", "--output", "out"]
    environment = os.environ | {
        "CLT_DATA": str(public), "CLT_RESULTS": str(tmp_path / "found"), "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [*command, str(silent(name, tmp_path))],
        cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    assert json.loads((tmp_path / "out" / "timings.json").read_text(encoding="utf-8"))

    if "variants" in given:  # chosen above; that the record has what the tables need is tested with the records
        return
    recorded = json.loads((tmp_path / "found" / f"{name}.json").read_text(encoding="utf-8"))
    missing = [
        row["key"]
        for entry in results.published(name)
        for row in entry["rows"]
        if row["key"] is not None and row["key"] not in recorded and row["key"].split(".")[0] not in ABSENT
    ]
    assert not missing, "of what the full parameters measure for the published tables"
