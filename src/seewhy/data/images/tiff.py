"""TIFFs that are whole but not read: bands, bits or a compression that Pillow does not know."""

from typing import BinaryIO

from PIL.TiffImagePlugin import COMPRESSION_INFO, ImageFileDirectory_v2

from seewhy.data.images.colour import FAULTS
from seewhy.text import counted

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _BANDS, _FORMAT = 256, 257, 258, 259, 277, 339
_FORMATS = {2: " with a sign", 3: " as floats", 5: " as complex numbers", 6: " as complex floats"}


def unread_layout(file: BinaryIO) -> str | None:
    """Describes a TIFF that Pillow refuses although it is whole, and the remedy; None if it is damaged."""
    try:
        file.seek(0)
        head = file.read(8)
        tags = ImageFileDirectory_v2(head + (file.read(8) if head[2:3] == b"+" else b""))
        file.seek(tags.next)
        tags.load(file)
        bands, bits = tags.get(_BANDS, 1), max(tags.get(_BITS, (1,)))
        compression, form = tags.get(_COMPRESSION, 1), max(tags.get(_FORMAT, (1,)))
        whole = 0 < bands <= 65_535 and 0 < bits <= 64 and tags[_WIDTH] > 0 < tags[_HEIGHT]
    except FAULTS:
        return None
    if not whole:
        return None
    if compression not in COMPRESSION_INFO:
        return (
            f"a TIFF of compression {compression}, which is not read: save it with LZW or Deflate"
        )
    kind = f"{counted(bands, 'band')} of {bits} bits{_FORMATS.get(form, '')}"
    return (
        f"a TIFF of {kind}, which is not read: save three bands as 8-bit RGB, or one as 8- or 16-bit "
        "grey (`gdal_translate -b 1 -b 2 -b 3 -ot Byte -scale IN OUT`)"
    )
