"""The batcher, and R12 and R13: overload and spikes."""

import asyncio
import concurrent.futures
import threading
import time
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from servers import image, running

import seewhy
from seewhy.errors import DivergedError
from seewhy.serving.batching import Batcher, Room
from seewhy.serving.errors import Refusal


class Model:
    """Answers with the brightness of an image; of a white one with NaN. Waits for `release`."""

    def __init__(self, exported):
        self.real = seewhy.load(exported)
        self.sizes, self.release = [], threading.Event()
        self.release.set()

    def classifier(self):
        names = ("rule", "decision", "classes", "answers")
        shared = {name: getattr(self.real, name) for name in names}
        return SimpleNamespace(**shared, predictor=SimpleNamespace(outputs=self.outputs))

    def outputs(self, images, embed):
        self.release.wait(10)
        self.sizes.append(len(images))
        if (images.reshape(len(images), -1).min(1) == 255).any():
            raise DivergedError("NaN")
        return self.real.predictor.outputs(images, embed)


@pytest.fixture
def model(exported):
    return Model(exported)


def pixels(model, shade):
    side = model.real.rule.store
    return np.full((side, side, 3), shade, np.uint8)


def answers(model, shades, *, runners=1, most=32, first=None):
    """The answers to shades that are all asked for while the threads are held."""

    async def run():
        with concurrent.futures.ThreadPoolExecutor(runners) as threads:
            batcher = Batcher(
                model.classifier(), threads, runners=runners, most=most, on_batch=lambda count: None
            )
            model.release.clear()
            tasks = [asyncio.create_task(batcher.answer(pixels(model, shade))) for shade in shades]
            await asyncio.sleep(0.05)
            model.release.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(run())


def test_what_is_queued_is_shown_at_once_without_a_timer(model):
    found = answers(model, range(1, 40))
    assert model.sizes == [1, 32, 6]
    expected = model.real.predict([pixels(model, shade) for shade in range(1, 40)]).probabilities()
    assert np.allclose([one.probabilities for one in found], expected, atol=1e-6)


def test_idle_threads_share_what_is_queued(model):
    answers(model, range(1, 22), runners=2)
    assert sorted(model.sizes[:2]) == [1, 1] and sum(model.sizes) == 21
    assert max(model.sizes) <= 19


def test_an_output_that_is_not_finite_is_an_error_of_its_image_alone(model):
    found = answers(model, [1, 2, 255, 3])
    assert isinstance(found[2], Refusal)
    assert (found[2].status, found[2].code) == (500, "model_output_invalid")
    assert all(np.isfinite(one.probabilities).all() for one in found[:2] + found[3:])


def test_an_exception_of_the_model_is_raised_for_its_batch_and_the_next_is_answered(model):
    model.outputs = lambda images, embed: 1 / 0
    assert all(isinstance(one, ZeroDivisionError) for one in answers(model, [1, 2, 3]))


def test_room_is_bounded_and_given_back():
    room = Room(4)
    with room.for_images(3):
        with room.for_images(1):
            pass
        with pytest.raises(Refusal) as refusal, room.for_images(2):
            pass
    assert (refusal.value.status, refusal.value.retry_after, room.taken) == (429, 1, 0)
    with room.for_images(9):  # a request that is alone is never refused
        pass


# ------------------------------------------------------------------ R12, R13


def capacity(url, seconds):
    """Requests a second of 32 clients that wait for their answers."""
    stop = time.monotonic() + seconds

    def work(_):
        done = 0
        with httpx.Client(base_url=url, timeout=60, verify=False) as client:
            while time.monotonic() < stop:
                done += client.post("/predict", files={"file": image()}).status_code == 200
        return done

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        return sum(pool.map(work, range(32))) / seconds


async def open_loop(url, rate, seconds):
    """Requests at a fixed rate, whatever the answers: (status, seconds) of each."""
    limits = httpx.Limits(max_connections=400, max_keepalive_connections=400)
    async with httpx.AsyncClient(base_url=url, timeout=20, verify=False, limits=limits) as client:
        data = image()

        async def one():
            start = time.perf_counter()
            try:
                answer = await client.post("/predict", files={"file": data})
            except httpx.HTTPError as error:
                return type(error).__name__, 0.0
            if answer.status_code == 429:
                assert answer.headers["retry-after"] == "1"
            return answer.status_code, time.perf_counter() - start

        start = time.perf_counter()
        tasks = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
            tasks.append(asyncio.create_task(one()))
        return await asyncio.gather(*tasks)


def test_r12_overload_is_refused_and_not_queued(exported, tmp_path):
    """Twenty at once where five may wait: answers or 429, and the queue empties."""
    with running(tmp_path, exported, queue=5) as server:

        def send(_):
            with httpx.Client(base_url=server.url, timeout=60, verify=False) as client:
                return [client.post("/predict", files={"file": image()}) for _ in range(6)]

        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            found = [answer for some in pool.map(send, range(20)) for answer in some]
        assert {answer.status_code for answer in found} == {200, 429}
        for answer in found:
            if answer.status_code == 429:
                assert answer.headers["retry-after"] == "1"
                assert answer.json()["error"]["code"] == "busy"
        assert server.predict(image()).status_code == 200
        assert server.status()["images"] == 0
        five = server.predict(*[image()] * 5)  # R7: the queue's limit, and one more
        assert five.status_code == 200


@pytest.mark.long
def test_r12_twice_the_capacity_for_a_minute(exported, tmp_path):
    with running(tmp_path, exported) as server:
        most = capacity(server.url, 10)
        before = asyncio.run(open_loop(server.url, most / 2, 10))
        found = asyncio.run(open_loop(server.url, 2 * most, 60))
        statuses = [status for status, _ in found]
        assert set(statuses) <= {200, 429}, set(statuses)

        def p99(rows):
            times = sorted(took for status, took in rows if status == 200)
            return times[int(0.99 * len(times))]

        goodput = statuses.count(200) / 60
        print(
            f"capacity {most:.0f}/s, goodput {goodput:.0f}/s, p99 {1000 * p99(found):.0f} ms, "
            f"at half the capacity {1000 * p99(before):.0f} ms"
        )


@pytest.mark.long
def test_r13_a_spike(exported, tmp_path):
    with running(tmp_path, exported) as server:
        most = capacity(server.url, 10)
        asyncio.run(open_loop(server.url, most / 2, 10))
        before = server.rss()
        asyncio.run(open_loop(server.url, 10 * most / 2, 10))
        time.sleep(5)
        after = asyncio.run(open_loop(server.url, most / 2, 10))
        assert {status for status, _ in after} == {200}
        print(f"memory {before / 1e6:.0f} -> {server.rss() / 1e6:.0f} MB")
        assert server.rss() < 1.1 * before
