# SPDX-License-Identifier: Apache-2.0
"""
Content of each job's video: one row for each ``vidu_type``.

A job's fields hold files in place of their addresses (:func:`media.placed`). The rows make three assumptions beyond the
API's documentation. The video of extend contains the input video and the new part. The video of lip-sync is as long as
its input video and has 720p. The video of one-click/mv is as long as its sound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from airflow_provider_vidu.emulator import pictures, video
from airflow_provider_vidu.emulator.pictures import ABOVE, BELOW, MIDDLE, Cue, Frames, open_photo, open_picture
from airflow_provider_vidu.emulator.video import FRAMES_PER_SECOND, Size

Fields: TypeAlias = Mapping[str, Any]
Show: TypeAlias = Callable[[Fields, Size, int], Frames]

_PAUSE = re.compile(r"<#[\d.]+#>")


@dataclass(frozen=True, slots=True)
class Scene:
    """
    Describe the video of one job.

    :param show: Makes the frames, of a given size and number.
    :param needs: Required fields.
    :param ratio: Computes width divided by height.
    :param seconds: Computes the whole video's length from the fields and the requested ``duration``.
    """

    show: Show
    needs: tuple[str, ...] = ()
    ratio: Callable[[Fields], float] = lambda fields: _asked_ratio(str(fields.get("aspect_ratio", "16:9")))
    seconds: Callable[[Fields, int], int] = lambda fields, asked: asked


def scene_of(vidu_type: str, fields: Fields) -> Scene:
    """
    Find the scene of a job.

    :param vidu_type: Type of the job; an unknown type shows its first frame, or its prompt.
    :param fields: Fields of the job; those of an unknown model may be fewer than its scene needs.
    """
    scene = SCENES.get(vidu_type, _PICTURE)
    return next(row for row in (scene, _PICTURE, _WORDS) if all(_files(fields.get(name)) for name in row.needs))


def render(path: Path, vidu_type: str, fields: Fields, seconds: int) -> None:
    """
    Render a job's video.

    :param path: Path of the file.
    :param vidu_type: Type of the job.
    :param fields: Fields of the job.
    :param seconds: Length of the whole video in seconds.
    """
    scene = scene_of(vidu_type, fields)
    size = video.frame_size(scene.ratio(fields), str(fields.get("resolution", "720p")))
    frames = scene.show(fields, size, seconds * FRAMES_PER_SECOND)
    video.render(path, frames, size=size, seconds=seconds, sound=_sound(fields))


def _sound(fields: Fields) -> Iterator[bytes] | None:
    if isinstance(fields.get("audio_url"), Path):
        return video.sound_of(fields["audio_url"])
    return video.tone() if any(fields.get(name) for name in ("bgm", "audio", "text")) else None


def _prompt_on_backdrop(fields: Fields, size: Size, count: int) -> Frames:
    moving = pictures.zoom(pictures.backdrop(size), size, count)
    return pictures.captioned(moving, [Cue(str(fields.get("prompt", "")))], MIDDLE)


def _first_frame(fields: Fields, size: Size, count: int) -> Frames:
    return pictures.zoom(open_picture(fields["first_frame_url"]), size, count)


def _first_to_last_frame(fields: Fields, size: Size, count: int) -> Frames:
    return pictures.fade(open_picture(fields["first_frame_url"]), open_picture(fields["last_frame_url"]), size, count)


def _references(fields: Fields, size: Size, count: int) -> Frames:
    labelled = [("", path) for path in _files(fields.get("images"))]
    for subject in fields.get("subjects") or ():
        labelled += [(f"@{subject.get('id')}", path) for path in _files([subject])]
    if not labelled:
        return _prompt_on_backdrop(fields, size, count)
    # The prompt has its own strip below the pictures, so it hides none of them.
    upper = pictures.montage(labelled, (size[0], round(size[1] * (1 - BELOW.height - 0.05))))
    whole = pictures.backdrop(size)
    whole.paste(upper, (0, 0))
    return pictures.captioned(pictures.still(whole, size, count), [Cue(str(fields.get("prompt", "")))], BELOW)


def _given_and_extended(fields: Fields, size: Size, count: int) -> Frames:
    given = _whole_seconds(fields["video_url"], "video") * FRAMES_PER_SECOND
    last_given = pictures.backdrop(size)
    for image in video.footage(fields["video_url"], size, given):
        last_given = image.copy()
        yield image
    last_frame = fields.get("last_frame_url")
    if isinstance(last_frame, Path):
        rest = pictures.fade(last_given, open_picture(last_frame), size, count - given)
    else:
        rest = pictures.zoom(last_given, size, count - given)
    yield from pictures.captioned(rest, [Cue("extended")], ABOVE)


def _speaking(fields: Fields, size: Size, count: int) -> Frames:
    frames = video.footage(fields["video_url"], size, count)
    if isinstance(fields.get("ref_photo_url"), Path):
        side = min(size) // 4
        inset = pictures.fitted(open_photo(fields["ref_photo_url"]), (side, side))
        frames = _with_inset(frames, inset)
    text = "" if "audio_url" in fields else _PAUSE.sub(" ", str(fields.get("text", "")))
    return pictures.captioned(frames, pictures.cues_of(text, count / FRAMES_PER_SECOND, size), BELOW)


def _one_after_the_other(fields: Fields, size: Size, count: int) -> Frames:
    paths = _files(fields["images"])
    ends = [round(count * number / len(paths)) for number in range(len(paths) + 1)]
    # Pictures are opened one at a time: seven large ones at once would take gigabytes.
    frames = chain.from_iterable(
        pictures.still(open_picture(path), size, end - begin)
        for path, begin, end in zip(paths, ends, ends[1:], strict=False)
    )
    if not fields.get("add_subtitle"):
        return frames
    if isinstance(fields.get("srt_url"), Path):
        cues = pictures.read_cues(fields["srt_url"])
    else:
        cues = pictures.cues_of(str(fields.get("prompt", "")), count / FRAMES_PER_SECOND, size)
    return pictures.captioned(frames, cues, BELOW)


def _with_inset(frames: Frames, inset: Any) -> Frames:
    for image in frames:
        margin = inset.height // 8
        image.paste(inset, (image.width - inset.width - margin, margin))
        yield image


def _files(value: Any) -> list[Path]:
    """List the files in a field: a file, a list of files, or subjects with files."""
    if isinstance(value, Path):
        return [value]
    if isinstance(value, list):
        return [path for item in value for path in _files(item.get("images") if isinstance(item, dict) else item)]
    return []


def _ratio_of_first_frame(fields: Fields) -> float:
    picture = open_picture(fields["first_frame_url"])
    return picture.width / picture.height


def _ratio_of_video(fields: Fields) -> float:
    return video.shape(fields["video_url"])


def _asked_ratio(aspect_ratio: str) -> float:
    width, _, height = aspect_ratio.partition(":")
    try:
        return int(width) / int(height)
    except (ValueError, ZeroDivisionError):
        return 16 / 9


def _whole_seconds(path: Path, stream: video.Stream) -> int:
    return max(1, round(video.length(path, stream)))


_PICTURE = Scene(_first_frame, needs=("first_frame_url",), ratio=_ratio_of_first_frame)
_WORDS = Scene(_prompt_on_backdrop)
SCENES: Mapping[str, Scene] = {
    "img2video": _PICTURE,
    "text2video": _WORDS,
    "reference2video": Scene(_references),
    "start-end2video": Scene(
        _first_to_last_frame, needs=("first_frame_url", "last_frame_url"), ratio=_ratio_of_first_frame
    ),
    "extend": Scene(
        _given_and_extended,
        needs=("video_url",),
        ratio=_ratio_of_video,
        seconds=lambda fields, asked: _whole_seconds(fields["video_url"], "video") + asked,
    ),
    "lip-sync": Scene(
        _speaking,
        needs=("video_url",),
        ratio=_ratio_of_video,
        seconds=lambda fields, asked: _whole_seconds(fields["video_url"], "video"),
    ),
    "one-click/mv": Scene(
        _one_after_the_other,
        needs=("images", "audio_url"),
        seconds=lambda fields, asked: _whole_seconds(fields["audio_url"], "audio"),
    ),
}
