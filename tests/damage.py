"""Files with a flipped bit, and what a reader makes of them."""

from melanoma_tf.core.errors import MelanomaError


def each_with_a_flipped_bit(path, places):
    """Flip one bit of a file after the other, by its place; the file is whole again at the end."""
    whole = path.read_bytes()
    try:
        for place in places:
            content = bytearray(whole)
            content[place // 8] ^= 1 << place % 8
            path.write_bytes(content)
            yield place
    finally:
        path.write_bytes(whole)


def bits_of(path):
    return range(8 * path.stat().st_size)


def read_or_refused(read, path, *arguments):
    """What was read, or None; and the one line that names the file, where it was refused."""
    message = None
    try:
        return read(path, *arguments), None
    except MelanomaError as error:
        message = str(error)
    assert "\n" not in message
    assert str(path) in message, message
    return None, message
