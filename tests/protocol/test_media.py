# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.capabilities import DOCUMENTATION
from airflow_provider_vidu.protocol.media import Image, frame_pair_problem, image_data_uri, read_image
from airflow_provider_vidu.protocol.mp4 import is_mp4

WIDE = (52, 31)


def file(format_, size=WIDE, mode="RGB", **options):
    stream = BytesIO()
    Pillow.new(mode, size, (200, 80, 40, 128)[: len(mode)] if mode != "L" else 90).save(stream, format_, **options)
    return stream.getvalue()


def with_thumbnail():
    """A JPEG whose Exif block holds another JPEG of another size."""
    whole = file("JPEG")
    inner = b"Exif\0\0" + file("JPEG", (9, 9))
    return whole[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner + whole[2:]


FILES = {
    "png": file("PNG"),
    "png with alpha": file("PNG", mode="RGBA"),
    "jpeg": file("JPEG"),
    "jpeg, grey": file("JPEG", mode="L"),
    "jpeg, progressive": file("JPEG", progressive=True),
    "jpeg with a thumbnail": with_thumbnail(),
    "jpeg with fill bytes and a bare marker": file("JPEG")[:2] + b"\xff\xff\xff\x01" + file("JPEG")[2:],
    "webp, VP8": file("WEBP"),
    "webp, VP8L": file("WEBP", lossless=True),
    "webp, VP8X": file("WEBP", mode="RGBA"),
}
JPEG_WITH_AN_EMPTY_SEGMENT = b"\xff\xd8\xff\xe0\x00\x00" + b"\xff" * 9


@pytest.mark.parametrize("name", FILES)
def test_a_file_tells_its_format_and_size(name):
    assert read_image(FILES[name]) == Image(name.split()[0].rstrip(","), *WIDE)


def test_the_three_kinds_of_webp_are_what_they_are_called():
    assert [FILES[f"webp, {kind.strip()}"][12:16].decode() for kind in ("VP8 ", "VP8L", "VP8X")] == [
        *("VP8 ", "VP8L", "VP8X"),
    ]


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (16383, 1)])
@pytest.mark.parametrize(
    ("format_", "options"), [("PNG", {}), ("JPEG", {}), ("WEBP", {}), ("WEBP", {"lossless": True})]
)
def test_the_smallest_and_the_longest_images_are_read(format_, options, size):
    assert read_image(file(format_, size, **options)) == Image(format_.lower(), *size)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_off_anywhere_is_read_as_itself_or_not_at_all(name):
    whole, length = FILES[name], len(FILES[name])
    answers = [read_image(whole[:cut]) for cut in range(length)]
    image = read_image(whole)
    told_at = answers.index(image)
    assert answers == [None] * told_at + [image] * (length - told_at)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + bytes(50),
        b"BM" + bytes(50),
        b"\x00\x00\x00\x1cftypavif" + bytes(50),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"RIFF\0\0\0\0WAVE" + bytes(50),
        FILES["png"][:12] + b"IDAT" + FILES["png"][16:],
        FILES["png"].replace(b"\r\n", b"\n", 1),
        FILES["png"][:16] + bytes(4) + FILES["png"][20:],
        FILES["webp, VP8"][:12] + b"XMP " + FILES["webp, VP8"][16:],
        FILES["webp, VP8"][:23] + b"\0" + FILES["webp, VP8"][24:],
        FILES["webp, VP8L"][:20] + b"\0" + FILES["webp, VP8L"][21:],
        b"\xff\xd8\xff\xd9" + bytes(50),
        b"\xff\xd8\xff\xc4\x00\x02" + bytes(50),
        JPEG_WITH_AN_EMPTY_SEGMENT,
    ],
    ids=range(15),
)
def test_what_is_no_image_of_the_three_formats_is_not_read(data):
    assert read_image(data) is None


@settings(deadline=None, database=None, derandomize=True)
@given(
    st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", *(b"RIFF\0\0\0\0WEBP" + k for k in (b"VP8 ", b"VP8L", b"VP8X"))]
    ),
    st.binary(max_size=60),
)
def test_no_bytes_break_the_reader(beginning, rest):
    image = read_image(beginning + rest)
    assert image is None or min(image.width, image.height) > 0


@pytest.mark.parametrize(
    ("name", "beginning"),
    [("png", "data:image/png;base64,"), ("jpeg", "data:image/jpeg;base64,"), ("webp, VP8", "data:image/webp;base64,")],
)
def test_an_image_becomes_a_data_uri_of_its_own_format(name, beginning):
    uri = image_data_uri(FILES[name], "first_frame_url")
    assert uri.startswith(beginning)
    assert base64.b64decode(uri.removeprefix(beginning), validate=True) == FILES[name]


@pytest.mark.parametrize("size", [(10, 40), (40, 10), (128, 128)])
def test_an_image_of_a_ratio_from_1_to_4_to_4_to_1_is_taken(size):
    assert image_data_uri(file("PNG", size), "images").startswith("data:image/png;base64,")


def refusal(make, *arguments, **options):
    with pytest.raises(ViduRequestError) as caught:
        make(*arguments, **options)
    return str(caught.value)


def refused(given_text, rule):
    return (
        f"first_frame_url must {rule}, got {given_text} (source: {DOCUMENTATION}). Nothing was sent or paid. "
        "Use another file."
    )


RATIO = "have a ratio of width to height from 1:4 to 4:1"


@pytest.mark.parametrize(
    ("data", "options", "given_text", "rule"),
    [
        (file("PNG", (10, 41)), {}, "10×41 pixels", RATIO),
        (file("PNG", (41, 10)), {}, "41×10 pixels", RATIO),
        (file("PNG", (127, 128)), {"least_side": 128}, "127×128 pixels", "have at least 128×128 pixels"),
        (file("PNG", (128, 127)), {"least_side": 128}, "128×127 pixels", "have at least 128×128 pixels"),
        (
            b"GIF89a" + bytes(9),
            {},
            "a file of another format",
            "be in an image format (png, jpeg, webp)",
        ),
        (b"", {}, "an empty file", "be in an image format (png, jpeg, webp)"),
        (
            file("PNG").ljust(50 * 2**20 + 1, b"\0"),
            {},
            "52,428,801 bytes",
            "have at most 52,428,800 bytes",
        ),
    ],
    ids=range(7),
)
def test_an_image_that_the_api_would_refuse_is_not_sent(data, options, given_text, rule):
    assert refusal(image_data_uri, data, "first_frame_url", **options) == refused(given_text, rule)


def test_an_image_of_the_least_side_and_of_50_mib_is_taken():
    assert image_data_uri(file("PNG", (128, 128)), "images", least_side=128).startswith("data:image/png;base64,")
    assert len(image_data_uri(file("PNG").ljust(50 * 2**20, b"\0"), "images")) > 66 * 2**20


@pytest.mark.parametrize(
    ("first", "last", "fits"),
    [
        ((100, 100), (100, 100), True),
        ((100, 80), (100, 100), True),
        ((100, 79), (100, 100), False),
        ((100, 100), (100, 80), True),
        ((100, 100), (100, 79), False),
        ((50, 100), (100, 50), True),
    ],
)
def test_two_frames_have_to_be_of_about_one_resolution(first, last, fits):
    problem = (
        "first_frame_url and last_frame_url must have resolutions with a ratio from 0.8 to 1.25, got "
        f"{first[0]}×{first[1]} and {last[0]}×{last[1]} pixels (source: {DOCUMENTATION})"
    )
    assert frame_pair_problem(file("PNG", first), file("JPEG", last)) == (None if fits else problem)


@pytest.mark.parametrize(("first", "last"), [(b"", file("PNG")), (file("PNG"), b"")], ids=["first", "last"])
def test_a_frame_that_is_no_image_is_told_of_elsewhere(first, last):
    assert frame_pair_problem(first, last) is None


@pytest.mark.parametrize(
    ("head", "is_video"),
    [(b"\x00\x00\x00 ftypisom", True), (b"<html>", False), (b"", False), (b"ftypisom", False), (b"\x00" * 12, False)],
)
def test_a_video_is_told_by_its_first_bytes(head, is_video):
    assert is_mp4(head) is is_video
