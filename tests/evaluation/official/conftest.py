"""The official scorer of the ISIC challenges, in its own environment."""

import json
import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def official_scores():
    """A function from cases (see run_official_scorer.py) to their official results.

    The scorer is started once: its libraries take longer to load than most cases to score.
    """
    folder = REPOSITORY / ".venv" / "official-scorer"
    python = folder / "bin" / "python"
    given = os.environ.get("MELANOMA_OFFICIAL_SCORER")
    if given:
        python = Path(given)
    elif not any(folder.glob("installed-*")):  # the script's mark that all is there
        pytest.skip(f"no official scorer in {folder}: run scripts/official_scorer.sh")

    script = Path(__file__).with_name("run_official_scorer.py")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with subprocess.Popen(
        [str(python), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=environment,
    ) as process:  # fmt: skip

        def run(cases):
            given = [{key: str(value) for key, value in case.items()} for case in cases]
            process.stdin.write(json.dumps(given) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            assert answer, f"the official scorer ended with {process.wait()}"
            return json.loads(answer)

        yield run
