"""`melanoma-tf doctor`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from melanoma_tf.cli.console import table
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.cli.json_output import SaveJson, json_output
from melanoma_tf.workflows.settings import DeviceCheckSettings

if TYPE_CHECKING:
    from melanoma_tf.workflows.device_check import DeviceCheck


@click.command(cls=GroupedCommand)
@click.option(
    "--devices",
    is_flag=True,
    help="Also train on one GPU and on all, and compare losses, speed and memory.",
)
@json_output("what was found")
@settings_options(DeviceCheckSettings)
def doctor(devices: bool, save_json: SaveJson, settings: DeviceCheckSettings) -> None:
    """Examine this installation: libraries, devices, networks that ship, disk.

    \b
    Example:
      melanoma-tf doctor
      melanoma-tf doctor --devices --json devices.json

    The exit code is 1 where something is broken; what is only missing is listed. `--devices` takes
    minutes; without GPUs, `--replicas 2` splits the CPU.
    """
    from melanoma_tf.workflows import doctor as examination

    check = None
    if devices:
        from melanoma_tf.workflows.device_check import check_devices

        # First: the CPU can be split only before TensorFlow has used it.
        check = check_devices(settings, lambda line: click.echo(line, err=True))
    findings = list(examination.examine())
    report = examination.describe_installation(findings)
    save_json({**report, "devices": None if check is None else _as_json(check)})
    rows = [(finding.subject, finding.state, finding.found) for finding in findings]
    table("This installation", ("subject", "state", "found"), rows)
    if check is not None:
        _print_devices(check)
    if examination.is_broken(findings):
        broken = [finding.subject for finding in findings if finding.state == examination.BROKEN]
        raise click.ClickException(f"broken: {', '.join(broken)}")
    if check is not None and not check.agrees:
        raise click.ClickException(
            f"the losses of {check.same_batch.devices} {check.kind}s differ from those of one by "
            f"{check.difference:.1e}; expected equal ones"
        )


def _as_json(check: DeviceCheck) -> dict[str, Any]:
    return {
        **dataclasses.asdict(check),
        "difference": check.difference,
        "agrees": check.agrees,
        "scaling": check.scaling,
    }


def _print_devices(check: DeviceCheck) -> None:
    columns = ("devices", "images in a step", "images/s", "peak MiB", "first and last loss")
    rows = [
        (
            each.devices,
            each.batch_size,
            f"{each.images_per_second:.1f}",
            f"{each.peak_mib:.0f}",
            f"{each.losses[0]:.5f} {each.losses[-1]:.5f}",
        )
        for each in (check.one, check.same_batch, check.all_devices)
    ]
    table(f"{check.kind}s: {', '.join(check.names)}", columns, rows)
    click.echo(
        f"losses on the same batches: {'equal' if check.agrees else 'DIFFERENT'}, largest relative "
        f"difference {check.difference:.1e}"
    )
    click.echo(
        f"scaling of {check.all_devices.devices} {check.kind}s: {check.scaling:.2f} of "
        f"{check.all_devices.devices} times the speed of one"
    )


COMMANDS = (doctor,)
