"""The official scorer of the ISIC challenges, in its own environment."""

import json
import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def official_scores(tmp_path_factory):
    """A function from cases (see run_official_scorer.py) to their official results."""
    folder = REPOSITORY / ".venv" / "official-scorer"
    python = folder / "bin" / "python"
    given = os.environ.get("MELANOMA_OFFICIAL_SCORER")
    if given:
        python = Path(given)
    elif not any(folder.glob("installed-*")):  # the script's mark that all is there
        pytest.skip(f"no official scorer in {folder}: run scripts/official_scorer.sh")

    def run(cases):
        folder = tmp_path_factory.mktemp("official")
        given, results = folder / "cases.json", folder / "results.json"
        given.write_text(json.dumps([{k: str(v) for k, v in case.items()} for case in cases]))
        script = Path(__file__).with_name("run_official_scorer.py")
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            [str(python), str(script), str(given), str(results)],
            capture_output=True, text=True, timeout=600, check=False, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(results.read_text())

    return run
