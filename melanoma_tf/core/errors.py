"""The one error that users are meant to read."""

from __future__ import annotations


class MelanomaError(ValueError):
    """Bad input, said in one line: what was expected, and what was found.

    The command line prints the message alone and exits with 1; a caller of the library catches
    it as the `ValueError` that it is.

    Example:
        >>> import melanoma_tf as mt
        >>> try:
        ...     mt.RecordSet.read("tfrecords/absent")
        ... except mt.MelanomaError as error:
        ...     print(error)  # doctest: +ELLIPSIS
        expected a record folder at tfrecords/absent...
    """
