"""Lets `python -m melanoma_tf` stand in for the `melanoma-tf` command."""

from melanoma_tf.cli import main

if __name__ == "__main__":
    main(prog_name="melanoma-tf")
