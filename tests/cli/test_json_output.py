"""`--json`: the same numbers as in the tables, in a file or in a pipe."""

import json

from melanoma_tf.cli import main
from tests.conftest import cli_runner


def run(*arguments):
    return cli_runner().invoke(main, [*map(str, arguments)])


def piped(*arguments):
    """What a command writes to the standard output with `--json -`, parsed."""
    return json.loads(run(*arguments, "--json", "-").stdout)


def test_a_pipe_gets_the_json_alone_and_people_the_tables(run_command):
    done = run_command("plan", "--json", "-")
    plan = json.loads(done.stdout)
    assert plan["expansion"] == "isic2017"
    assert plan["views"] == 6
    for row in plan["classes"]:
        seen = (row["real"] + row["purified"] + row["generated"], row["mirrored"])
        assert row["examples"] == 6 * row["mirrored"], seen
        assert f"{row['examples']:,}" in done.stderr
    assert "train classifier --expansion isic2017" in done.stderr


def test_a_file_is_not_replaced_unasked_and_never_an_input(tmp_path):
    counts = tmp_path / "counts.json"
    classes = ("melanoma", "nevus", "seborrheic_keratosis")
    content = json.dumps({name: {"real": 10} for name in classes})
    counts.write_text(content)
    target = tmp_path / "plan.json"
    command = ("plan", "--counts", counts, "--json")
    assert run(*command, target).exit_code == 0
    assert json.loads(target.read_text())["classes"][0]["real"] == 10
    again = run(*command, target)
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr
    assert run(*command, target, "--overwrite").exit_code == 0
    onto_itself = run(*command, counts, "--overwrite")
    assert onto_itself.exit_code == 1
    assert counts.read_text() == content


def test_classes_of_the_taxonomies():
    found = piped("taxonomies")
    assert found["taxonomies"]["isic2017"] == ["melanoma", "nevus", "seborrheic_keratosis"]
    assert found["diagnoses"]["atypical_nevus"]["isic2018"] == "nevus"
    assert "words" not in found
    words = piped("taxonomies", "--codes")["words"]
    assert {"source": "ph2", "word": "2", "diagnosis": "melanoma"} in words


def test_counts_of_a_table(tmp_path):
    (tmp_path / "table.csv").write_text("file,dx\na,nv\nb,wart\n")
    (tmp_path / "a.jpg").touch()
    (found,) = piped("taxonomies", "--add", f"csv={tmp_path},image=file,diagnosis=dx")
    assert (found["images"], found["missing"]) == (1, ["b"])
    assert found["diagnoses"] == {"nevus": 1}


def test_contents_and_problems_of_records(phantom_records, tmp_path):
    manifest = piped("inspect", phantom_records)
    assert sum(row["count"] for row in manifest["counts"]) == 60
    assert piped("verify-records", phantom_records)["problems"] == []
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in phantom_records.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    shard = next(broken.glob("train-*"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    done = run("verify-records", broken, "--json", tmp_path / "problems.json")
    assert done.exit_code == 1
    problems = json.loads((tmp_path / "problems.json").read_text())["problems"]
    assert any(shard.name in problem for problem in problems)
