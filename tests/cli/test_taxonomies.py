from click.testing import CliRunner

from melanoma_tf.cli import main


def run(*arguments):
    return CliRunner().invoke(main, ["taxonomies", *map(str, arguments)])


def test_the_table_names_every_diagnosis_and_class():
    result = run("--codes")
    assert result.exit_code == 0
    for words in ("atypical_nevus", "squamous_cell_carcinoma", "not_melanoma", "iec"):
        assert words in result.output


def test_a_label_file_is_counted(real_data):
    result = run("--labels", real_data / "labels" / "ISIC_2019_Training_GroundTruth.csv")
    assert result.exit_code == 0
    assert "25,331 images" in result.output
    assert "12,875" in result.output
    duplicates = run("--labels", real_data / "labels" / "ISIC_2020_Training_Duplicates.csv")
    assert "425 pairs of duplicates" in duplicates.output


def test_lesions_of_ham10000_and_its_missing_images(real_data):
    folder = real_data / "ham10000"
    result = run("--labels", folder / "HAM10000_metadata.csv", "--add", f"ham10000={folder}")
    assert "10,015 images, 7,470 lesions" in result.output
    assert "1,690 images, 8,325 missing" in result.output


def test_ph2_s_own_table_is_a_label_file(tmp_path):
    path = tmp_path / "PH2_dataset.txt"
    path.write_text("|| Name || Clinical Diagnosis ||\n|| IMD003 || 1 ||\n")
    assert "atypical_nevus" in run("--labels", path).output


def test_options_of_a_table_of_one_s_own(tmp_path):
    (tmp_path / "table.csv").write_text("file,dx\na,nv\nb,wart\n")
    (tmp_path / "a.jpg").touch()
    result = run("--add", f"csv={tmp_path},image=file,diagnosis=dx")
    assert "csv: 1 images, 1 missing" in result.output
    assert "missing: b\n" in result.output


def test_a_fault_is_one_line(run_command, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("a,b\n1,2\n")
    result = run_command("taxonomies", "--labels", path)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "expected an official label file" in result.stderr


def test_help_shows_each_example_on_its_own_line():
    lines = [line.strip() for line in run("--help").output.splitlines()]
    assert "melanoma-tf taxonomies --labels ISIC_2019_Training_GroundTruth.csv" in lines
