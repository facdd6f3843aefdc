# SPDX-License-Identifier: Apache-2.0
"""Files whose end is missing are refused before they are sent and paid; whole ones of every kind pass."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image, PngImagePlugin

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.media import image_data_uri

_NOISE = Image.frombytes("RGB", (64, 48), random.Random(4711).randbytes(64 * 48 * 3))


def saved(format: str, image: Image.Image = _NOISE, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()


def with_exif() -> Image.Exif:
    exif = Image.Exif()
    # Among its values stands the end mark of a JPEG.
    exif[0x010E] = "a thumbnail\xff\xd9\xff\xda"
    return exif


FRAMES = [_NOISE.rotate(90 * turn) for turn in range(3)]
TEXT = PngImagePlugin.PngInfo()
TEXT.add_text("Comment", "IEND " * 100)
WHOLE = {
    "png": saved("PNG"),
    "png of one bit": saved("PNG", _NOISE.convert("1")),
    "png with a palette": saved("PNG", _NOISE.convert("P")),
    "png of 16 bits": saved("PNG", _NOISE.convert("I;16")),
    "png with alpha": saved("PNG", _NOISE.convert("RGBA")),
    "png with a text": saved("PNG", pnginfo=TEXT),
    "png whose text has a wrong checksum": saved("PNG", pnginfo=TEXT).replace(b"Comment", b"comment"),
    "animated png": saved("PNG", save_all=True, append_images=FRAMES),
    "jpeg": saved("JPEG"),
    "progressive jpeg": saved("JPEG", progressive=True),
    "jpeg in grey": saved("JPEG", _NOISE.convert("L")),
    "jpeg in cmyk": saved("JPEG", _NOISE.convert("CMYK")),
    "jpeg of the best quality": saved("JPEG", quality=100, subsampling=0),
    "jpeg with restarts": saved("JPEG", restart_marker_blocks=1),
    "jpeg with exif": saved("JPEG", exif=with_exif()),
    "jpeg with stray bytes": saved("JPEG").replace(b"\xff\xda", b"\xff\x00stray\xff\xda", 1),
    "jpeg of one colour": saved("JPEG", Image.new("RGB", (64, 48))),
    "webp": saved("WEBP"),
    "lossless webp": saved("WEBP", lossless=True),
    "webp with alpha": saved("WEBP", _NOISE.convert("RGBA")),
    "animated webp": saved("WEBP", save_all=True, append_images=FRAMES),
    "webp with exif": saved("WEBP", exif=with_exif()),
}


@pytest.mark.parametrize("more", [b"", b"\0", b"\r\n", b"trailing bytes\xff\xd8\xff\xd9"], ids=ascii)
@pytest.mark.parametrize("data", WHOLE.values(), ids=list(WHOLE))
def test_a_whole_image_passes_whatever_follows_it(data, more):
    assert image_data_uri(data + more, "images").startswith("data:image/")


def cuts(data: bytes) -> list[int]:
    return sorted({*range(len(data) - 40, len(data)), *(len(data) * share // 60 for share in range(1, 60))})


@pytest.mark.parametrize("data", WHOLE.values(), ids=list(WHOLE))
def test_no_part_of_an_image_passes_for_a_whole_one(data):
    # A WebP's last byte may be padding.
    passed = [at for at in cuts(data) if at < len(data) - (data[:4] == b"RIFF") and is_taken(data[:at])]
    assert passed == []


@pytest.mark.parametrize("data", [data for name, data in WHOLE.items() if "webp" not in name])
def test_no_image_whose_rest_is_zeros_passes_for_a_whole_one(data):
    # Some last bytes of a text or a thumbnail may be zeros by themselves.
    assert [at for at in cuts(data)[:-12] if is_taken(data[:at] + bytes(len(data) - at))] == []


@pytest.mark.parametrize("name", ["webp with exif", "animated webp"])
def test_a_webp_whose_later_parts_are_zeros_is_refused(name):
    data = WHOLE[name]
    assert not is_taken(data[:30] + bytes(len(data) - 30))


@pytest.mark.parametrize("name", ["webp", "lossless webp"])
def test_a_webp_whose_pixels_end_in_zeros_is_refused(name):
    data = WHOLE[name]
    assert not is_taken(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def is_taken(data: bytes) -> bool:
    try:
        image_data_uri(data, "images")
    except ViduRequestError:
        return False
    return True


def test_the_error_names_the_argument_and_the_next_step():
    data = WHOLE["jpeg"][:-2]
    with pytest.raises(ViduRequestError) as raised:
        image_data_uri(data, "first_frame_url")
    assert str(raised.value) == (
        f"first_frame_url must be a complete image, got a jpeg file of {len(data):,} bytes whose end is missing or "
        "broken. Nothing was sent or paid. Store or upload the file again."
    )


def test_a_jpeg_may_hold_fill_bytes_and_marks_without_a_length():
    data = WHOLE["jpeg"]
    assert is_taken(data[:2] + b"\xff\xff\x01" + data[2:])
    assert not is_taken(data[:2] + b"\xff\xff\x01" + data[2:40])
