# SPDX-License-Identifier: Apache-2.0
"""Audio files: format, completeness and length."""

from __future__ import annotations

import base64
from io import BytesIO

import av
import pytest

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.audio import audio_data_uri
from airflow_provider_vidu.protocol.capabilities import DOCUMENTATION
from tests.served import sound

MP3 = bytes.fromhex("fffb9064") + bytes(413)
"""A frame of 1,152 samples: MPEG 1, 128 kbit/s, 44,100 Hz."""
MP3_OF_SPEECH = bytes.fromhex("fff388c4") + bytes(284)
"""A frame of 576 samples: MPEG 2, 64 kbit/s, 16,000 Hz."""
AAC = bytes.fromhex("fff15080") + (200 << 13 | 0x1FFC).to_bytes(3, "big") + bytes(193)
"""A frame of 1,024 samples: ADTS, 44,100 Hz, 200 bytes."""


def refusal(data):
    with pytest.raises(ViduRequestError) as raised:
        audio_data_uri(data, "audio_url")
    return str(raised.value)


def refused(rule, given):
    return f"audio_url must {rule}, got {given} (source: {DOCUMENTATION}). Nothing was sent or paid. Use another file."


def encoded(file_format, codec, seconds):
    data = BytesIO()
    with av.open(data, "w", format=file_format) as container:
        stream = container.add_stream(codec, rate=16_000, layout="mono")
        for _ in range(seconds):
            frame = av.AudioFrame(format="s16", layout="mono", samples=16_000)
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            frame.sample_rate = 16_000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return data.getvalue()


def m4a(duration, *, version=0, has_header=True):
    wide = 8 if version else 4
    times = bytes(2 * wide) + (1000).to_bytes(4, "big") + duration.to_bytes(wide, "big")
    header = b"mvhd" + bytes([version, 0, 0, 0]) + times if has_header else b"free"
    moov = b"moov" + (len(header) + 4).to_bytes(4, "big") + header
    return b"\0\0\0\x0cftypM4A " + (len(moov) + 4).to_bytes(4, "big") + moov + b"\0\0\0\x0cmdat...."


def wav(seconds, *, size=None, rate=32_000):
    data = bytearray(sound(seconds))
    if size is not None:
        data[4:8] = data[40:44] = size.to_bytes(4, "little")
    data[28:32] = rate.to_bytes(4, "little")
    return bytes(data)


def id3(room=0):
    return b"ID3\x04\0\0" + bytes([0, 0, 1, 2]) + bytes(130) + bytes(room)


@pytest.mark.parametrize(
    ("file_format", "codec"), [("wav", "pcm_s16le"), ("mp3", "libmp3lame"), ("ipod", "aac"), ("adts", "aac")]
)
@pytest.mark.parametrize(("seconds", "fits"), [(8, False), (10, True), (180, True), (182, False)])
def test_a_file_of_each_format_is_sent_if_it_is_neither_too_short_nor_too_long(file_format, codec, seconds, fits):
    data = encoded(file_format, codec, seconds)
    if fits:
        assert audio_data_uri(data, "audio_url").startswith("data:audio/")
    else:
        assert refusal(data).startswith(f"audio_url must last 10 to 180 s, got an audio file of {seconds}.")


LENGTHS = {
    "mp3": (MP3 * 300, "7.8"),
    "mp3 of speech": (MP3_OF_SPEECH * 100, "3.6"),
    "mp3 behind a tag": (id3() + MP3 * 300, "7.8"),
    "mp3 behind a tag with room": (id3(room=50) + MP3 * 300, "7.8"),
    "mp3 before a tag": (MP3 * 300 + b"TAG" + bytes(125), "7.8"),
    "long mp3 before another thing": (MP3 * 7000 + b"?" * 3_000_000, "182.9"),
    "aac": (AAC * 100, "2.3"),
    "wav": (wav(3), "3.0"),
    "wav without sound": (wav(0), "0.0"),
    "wav from a pipe": (wav(3, size=0xFFFFFFFF), "3.0"),
    "wav from another pipe": (wav(3, size=0), "3.0"),
    "m4a": (m4a(3000), "3.0"),
    "m4a with long fields": (m4a(3000, version=1), "3.0"),
}


@pytest.mark.parametrize(("data", "seconds"), LENGTHS.values(), ids=LENGTHS)
def test_a_length_is_read_from_the_file(data, seconds):
    assert refusal(data) == refused("last 10 to 180 s", f"an audio file of {seconds} s")


UNKNOWN = {
    "mp3 of unknown frames": MP3 * 100 + b"?" * 10_000,
    "mp3 without a rate": b"\xff\xfb\x00\x64" + bytes(100),
    "aac without a rate": b"\xff\xf1\x7c\x80" + bytes(100),
    "wav without a rate": wav(3, rate=0),
    "wav without sound": b"RIFF\x1c\0\0\0WAVELIST\x04\0\0\0INFO" + b"fact\x04\0\0\0...." + bytes(8),
    "m4a in fragments": m4a(0),
    "m4a without a header": m4a(0, has_header=False),
}


@pytest.mark.parametrize("data", UNKNOWN.values(), ids=UNKNOWN)
def test_a_file_of_unknown_length_is_sent(data):
    assert audio_data_uri(data, "audio_url").startswith("data:audio/")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"ID3\x04\0\0", "mpeg"),
        (b"\xff\xfb\x90\x64", "mpeg"),
        (b"\xff\xfa\x90\x64", "mpeg"),
        (b"\xff\xf3\x48\xc4", "mpeg"),
        (b"\xff\xe3\x18\xc4", "mpeg"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"\xff\xf9\x50\x80", "aac"),
        (b"RIFF\x08\0\0\0WAVEfmt ", "wav"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "wav"),
        (b"\0\0\0\x0cftypM4A \0\0\0\x08moov\0\0\0\x08mdat", "mp4"),
    ],
)
def test_a_sound_becomes_a_data_uri_of_its_own_format(data, kind):
    assert audio_data_uri(data, "audio_url") == f"data:audio/{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"OggS\0\x02",
        "text in UTF-16".encode("utf-16"),
        "text in UTF-16, the other way".encode("utf-16-be").join([b"\xfe\xff", b""]),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"RIFF\x18\0\0\0WEBPVP8 ",
        b"RIFF\0\0\0\0AVI LIST",
        b"\xff\xe1\0\0",
        b"\xff\xff\xff\xff",
    ],
    ids=range(11),
)
def test_what_is_no_sound_of_the_four_formats_is_not_sent(data):
    given = "a file of another format" if data else "an empty file"
    assert refusal(data) == refused("be in an audio format (mp3, wav, aac, m4a)", given)


def test_half_a_sound_is_refused():
    data = sound(10)
    assert audio_data_uri(data + b"more", "audio_url").startswith("data:audio/wav")
    with pytest.raises(ViduRequestError, match="audio_url must be a complete audio file, got a wav file"):
        audio_data_uri(data[:-2], "audio_url")
    m4a = b"\0\0\0\x0cftypM4A \0\0\0\x08moov\0\0\0\x0cmdat...."
    assert audio_data_uri(m4a, "audio_url").startswith("data:audio/mp4")
    with pytest.raises(ViduRequestError, match="audio_url must be a complete audio file, got a mp4 file"):
        audio_data_uri(m4a[:-1], "audio_url")
