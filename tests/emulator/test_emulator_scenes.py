# SPDX-License-Identifier: Apache-2.0
"""The video of each job shows what was asked for."""

from __future__ import annotations

from array import array
from io import BytesIO
from itertools import chain, pairwise

import av
import pytest
import requests
from PIL import Image, ImageColor

from airflow_provider_vidu.emulator.scenes import SCENES
from airflow_provider_vidu.protocol.capabilities import CAPABILITIES
from tests.served import COLOURS, data_uri, difference, frames, plain


@pytest.fixture
def film(api):
    """Submit a body and decode the video, whose length has to be the one that was told."""

    def make(body):
        task_id = api.accepted(body)
        answer = api.ended(task_id)
        assert answer["output"]["task_status"] == "Success", answer
        data = requests.get(answer["output"]["urls"][0], timeout=60).content
        shown = frames(data)
        assert len(shown) == 24 * answer["usage"]["duration"]
        return shown

    return make


def part(image, left=0.0, top=0.0, right=1.0, bottom=0.95):
    """Cut a part out, in shares of the frame, without the bar at the lower edge."""
    return image.crop(
        (round(image.width * left), round(image.height * top), round(image.width * right), round(image.height * bottom))
    )


def colour(image):
    """Name the colour that a picture has all over, or give the mean one."""
    mean = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    near = (name for name in COLOURS if max(abs(a - b) for a, b in zip(ImageColor.getrgb(name), mean, strict=True)) < 9)
    return next(near, mean)


def colours_in(image):
    """Name the colours of which a picture has some area."""
    small = image.resize((image.width // 8, image.height // 8), Image.Resampling.BOX)
    return {colour(small.crop((x, y, x + 1, y + 1))) for x in range(small.width) for y in range(small.height)} & set(
        COLOURS
    )


def samples_of(data):
    """Decode the sound of a video: when each piece begins, and its samples."""
    with av.open(BytesIO(data)) as container:
        return [
            (frame.time, array("f", bytes(frame.planes[0])[: frame.samples * 4])) for frame in container.decode(audio=0)
        ]


def heard(data):
    """Give how many times a second the sound of a video swings."""
    second = array("f", chain.from_iterable(samples for _, samples in samples_of(data)))[24_000:72_000]
    return round(sum(one < 0 <= other for one, other in pairwise(second)) * 48_000 / len(second))


def downloaded(api, body):
    return requests.get(api.video_url(body), timeout=60).content


def test_every_job_of_the_table_has_a_scene():
    assert set(SCENES) == {vidu_type for vidu_type, _ in CAPABILITIES}


def test_img2video_goes_into_its_first_frame(ask, film):
    first, *_, last = film(ask("img2video", first_frame_url="red.png"))
    assert (colour(part(first)), colour(part(last))) == ("red", "red")
    assert difference(first, last) > 1


def test_text2video_shows_its_prompt(ask, film):
    shown = {prompt: film(ask("text2video", prompt=prompt)) for prompt in ("a", "a fox jumps", "a fox jumps over it")}
    one, two, three = (images[0] for images in shown.values())
    outside = (0, 0, 1, 0.3)
    assert difference(part(one, *outside), part(two, *outside)) < 1
    middle = (0.05, 0.45, 0.95, 0.55)
    assert difference(part(one, *middle), part(two, *middle)) > 8
    assert difference(part(two, *middle), part(three, *middle)) > 8
    first, *_, last = shown["a"]
    assert difference(first, last) > 1


@pytest.mark.parametrize("prompt", ["a kite " * 285, "狐狸跳" * 666])
@pytest.mark.parametrize(("ratio", "size"), [("9:16", (360, 640)), ("16:9", (640, 360)), ("1:1", (360, 360))])
def test_a_long_prompt_stays_inside_a_frame_of_the_asked_ratio(ask, film, prompt, ratio, size):
    parameters = {"aspect_ratio": ratio}
    image = film(ask("text2video", prompt=prompt, parameters=parameters))[0]
    bare = film(ask("text2video", prompt="", parameters=parameters))[0]
    assert image.size == size
    assert difference(part(image, 0.1, 0.1, 0.9, 0.9), part(bare, 0.1, 0.1, 0.9, 0.9)) > 20
    for edge in ((0, 0, 1, 0.05), (0, 0, 0.05, 0.9), (0.95, 0, 1, 0.9)):
        assert difference(part(image, *edge), part(bare, *edge)) < 3


def test_start_end2video_begins_with_the_first_frame_and_ends_with_the_last_one(ask, film):
    first, *between, last = film(ask("start-end2video", first_frame_url="red.png", last_frame_url="blue.png"))
    assert (colour(part(first)), colour(part(last))) == ("red", "blue")
    # Half of red and half of blue.
    assert colour(part(between[11])) == "purple"


def test_a_last_frame_of_another_ratio_is_shown_whole(ask, film, web):
    body = ask("start-end2video", first_frame_url="red.png", last_frame_url=data_uri(plain("blue", 90, 90)))
    last = film(body)[-1]
    assert colour(part(last, 0.3, 0.05, 0.7, 0.9)) == "blue"
    assert colours_in(part(last, 0, 0, 0.2)) == set()


def test_reference2video_shows_every_picture_of_every_subject_with_its_id_and_the_prompt(ask, film):
    def subjects(*names):
        files = (["red.png", "blue.png"], ["gold.png"])
        return [{"id": name, "images": images, "voice_id": ""} for name, images in zip(names, files, strict=True)]

    asked = {"prompt": "@cat meets @dog", "subjects": subjects("cat", "dog")}
    image = film(ask("reference2video", **asked))[0]
    upper, lower = (0, 0, 1, 0.6), (0, 0.65, 1, 0.95)
    assert colours_in(part(image, *upper)) == {"red", "blue", "gold"}
    renamed = film(ask("reference2video", **{**asked, "subjects": subjects("horse", "dog")}))[0]
    assert difference(part(image, *upper), part(renamed, *upper)) > 0.5
    assert difference(part(image, *lower), part(renamed, *lower)) < 0.5
    other = film(ask("reference2video", **{**asked, "prompt": "@dog runs from @cat"}))[0]
    assert difference(part(image, *upper), part(other, *upper)) < 0.5
    assert difference(part(image, *lower), part(other, *lower)) > 0.5


def test_reference2video_shows_seven_reference_images(ask, film):
    images = [f"{name}.png" for name in COLOURS]
    first, *_, last = film(ask("reference2video", prompt="a parade", images=images))
    assert colours_in(first) == set(COLOURS)
    assert difference(first, last) > 1


def test_extend_shows_the_given_part_and_then_the_new_one_which_is_labelled(ask, film):
    shown = film(ask("extend", video_url="clip.mp4", parameters={"duration": 2}))
    assert len(shown) == 24 * (4 + 2)
    at = [0, 46, 50, 95]
    assert [colour(part(shown[index])) for index in at] == ["green", "green", "purple", "purple"]
    label, beside = (0.3, 0, 0.7, 0.25), (0, 0.3, 1, 0.95)
    assert [colour(part(shown[index], *beside)) for index in (96, 143)] == ["purple", "purple"]
    assert difference(part(shown[95], *label), part(shown[96], *label)) > 8


def test_extend_ends_with_the_last_frame(ask, film):
    shown = film(ask("extend", video_url="clip.mp4", last_frame_url="gold.png"))
    assert [colour(part(shown[index], 0, 0.3)) for index in (95, 96, 119)] == ["purple", "purple", "gold"]


def test_extend_goes_on_from_a_result_of_the_emulator_itself(api, ask, film):
    given = api.video_url(ask("img2video", first_frame_url="teal.png", parameters={"duration": 4}))
    shown = film(ask("extend", video_url=given))
    assert len(shown) == 24 * (4 + 1)
    assert [colour(part(shown[index], 0, 0.3, 1, 0.9)) for index in (0, 119)] == ["teal", "teal"]


def test_lip_sync_shows_the_video_with_its_text_as_subtitles_in_turn(ask, film):
    text = "Good morning everybody<#0.5#>and welcome to the show " * 4
    shown = film(ask("lip-sync", video_url="clip.mp4", text=text))
    silent = film(ask("lip-sync", video_url="clip.mp4", audio_url="speech.wav", text=text))
    assert len(shown) == 24 * 4
    assert [colour(part(shown[index], 0, 0, 1, 0.6)) for index in (0, 95)] == ["green", "purple"]
    assert [colour(part(silent[index])) for index in (0, 95)] == ["green", "purple"]
    lower = (0, 0.7, 1, 0.95)
    first, second = (part(shown[index], *lower) for index in (4, 44))
    assert difference(first, part(silent[4], *lower)) > 8
    assert difference(first, second) > 4


def test_a_pause_in_the_text_is_not_shown(ask, film):
    with_pause, without = (
        film(ask("lip-sync", video_url="clip.mp4", text=text))[0] for text in ("Hello <#12.5#> you", "Hello you")
    )
    assert difference(with_pause, without) == 0


def test_lip_sync_shows_the_reference_photo_in_a_corner(ask, film):
    image = film(ask("lip-sync", video_url="clip.mp4", text="Hello", ref_photo_url="gold.png"))[0]
    assert colours_in(part(image, 0.7, 0, 1, 0.4)) == {"green", "gold"}
    assert colours_in(part(image, 0, 0, 0.7, 0.6)) == {"green"}


def test_the_given_sound_is_heard_and_a_tone_in_place_of_speech_and_music(api, ask):
    spoken = ask("lip-sync", video_url="clip.mp4", text="Hello")
    assert heard(downloaded(api, spoken)) == pytest.approx(220, abs=2)
    assert heard(downloaded(api, ask("lip-sync", video_url="clip.mp4", audio_url="speech.wav"))) == pytest.approx(
        1000, abs=2
    )
    body = ask("one-click/mv", images=["red.png"], audio_url="song.wav")
    assert heard(downloaded(api, body)) == pytest.approx(1000, abs=2)
    assert heard(
        downloaded(api, ask("text2video", prompt="x", parameters={"bgm": True, "duration": 2}))
    ) == pytest.approx(220, abs=2)


def test_a_sound_that_is_shorter_than_the_video_ends_in_silence(api, ask):
    data = downloaded(api, ask("lip-sync", video_url="clip.mp4", audio_url="speech.wav"))
    seconds = [(time, max(map(abs, samples))) for time, samples in samples_of(data)]
    assert min(loudness for time, loudness in seconds if 0.1 < time < 1.9) > 0.1
    assert max(loudness for time, loudness in seconds if time > 2.1) < 0.01
    assert 3.9 < seconds[-1][0] < 4


def test_one_click_mv_shows_its_images_one_after_the_other_for_as_long_as_the_sound(ask, film):
    shown = film(ask("one-click/mv", images=["red.png", "blue.png"], audio_url="song.wav", prompt="a trip"))
    assert len(shown) == 240
    assert [colour(part(shown[index])) for index in (0, 119, 120, 239)] == ["red", "red", "blue", "blue"]


def test_one_click_mv_shows_the_prompt_as_subtitles_when_asked(ask, film):
    asked = {"images": ["red.png"], "audio_url": "song.wav", "prompt": "la la la"}
    shown = film(ask("one-click/mv", **asked, parameters={"add_subtitle": True}))
    assert [colour(part(shown[index], 0, 0, 1, 0.6)) for index in (0, 239)] == ["red", "red"]
    assert "red" not in [colour(part(shown[index], 0.4, 0.8, 0.6, 0.95)) for index in (0, 239)]


def test_one_click_mv_shows_given_subtitles_at_their_times(ask, film, web):
    parameters = {"add_subtitle": True, "srt_url": f"{web}/song.srt"}
    shown = film(ask("one-click/mv", images=["red.png"], audio_url="song.wav", prompt="la la", parameters=parameters))
    seconds = [second for second in range(10) if colour(part(shown[24 * second], 0.3, 0.6)) != "red"]
    assert seconds == [2, 3, 4, 6, 7]
    assert difference(part(shown[72], 0, 0.6), part(shown[168], 0, 0.6)) > 2


def test_a_job_that_nobody_knows_shows_its_first_frame_or_its_prompt(ask, film):
    assert colour(part(film(ask("new2video", first_frame_url="teal.png"))[0])) == "teal"
    one, other = (film(ask("new2video", prompt=prompt))[0] for prompt in ("a", "another one"))
    assert difference(one, other) > 1


@pytest.mark.parametrize("vidu_type", ["start-end2video", "extend", "lip-sync", "one-click/mv", "reference2video"])
def test_a_model_that_nobody_knows_may_be_given_less_than_the_job_shows(ask, film, vidu_type):
    assert len(film(ask(vidu_type, prompt="x"))) == 24
