"""The batcher, and R12 and R13: overload and spikes."""

import asyncio
import concurrent.futures
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
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


def test_a_batch_that_waits_is_given_up_when_the_server_ends_at_once(model):
    """With two models their batches share the threads, so that one may wait when these are shut down."""

    async def run():
        loop, faults, threads = (
            asyncio.get_running_loop(),
            [],
            concurrent.futures.ThreadPoolExecutor(1),
        )
        loop.set_exception_handler(lambda loop, fault: faults.append(fault))
        batchers = [
            Batcher(model.classifier(), threads, runners=1, most=32, on_batch=lambda count: None)
            for _ in range(2)
        ]
        model.release.clear()
        asked = [asyncio.create_task(one.answer(pixels(model, 0))) for one in batchers]
        await asyncio.sleep(0)
        threads.shutdown(wait=False, cancel_futures=True)
        model.release.set()
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5), faults

    (first, second), faults = asyncio.run(run())
    assert first.answer and isinstance(second, asyncio.CancelledError) and not faults


def test_what_is_queued_is_shown_at_once_without_a_timer(model):
    found = answers(model, range(1, 40))
    assert model.sizes == [1, 32, 6]
    expected = model.real.predict([pixels(model, shade) for shade in range(1, 40)]).probabilities()
    assert np.allclose([one.probabilities for one in found], expected, atol=1e-6)


def test_idle_threads_share_what_is_queued(model):
    answers(model, range(1, 22), runners=2)
    assert model.sizes[0] == 1 and sum(model.sizes) == 21
    assert max(model.sizes) < 21


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


def load(server, rate, seconds, clients=64):
    """The times of the answers by status, to requests at a fixed rate (0: of so many clients in turn).

    And how many were answered 200 in a second, in all and by each core that the load left to the server.
    """
    body = image()
    head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    host, port = server.address
    script = Path(__file__).parents[1] / "load.py"
    done = subprocess.run(
        [sys.executable, str(script), host, *map(str, (port, rate, seconds, clients))],
        input=request,
        capture_output=True,
        check=True,
    )
    report = json.loads(done.stdout)
    times = {int(status): sorted(taken) for status, taken in report["times"].items()}
    left = len(os.sched_getaffinity(0)) - report["cores"]
    answered = len(times.get(200, ())) / report["seconds"]
    return times, answered, answered / left


def p99(times):
    return times[int(0.99 * len(times))]


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
        # Those of a known length are refused before they are parsed, the others by the guard; both keep the
        # connection, and both are counted.
        refused = sum(answer.status_code == 429 for answer in found)
        assert (
            f'seewhy_requests_total{{route="/predict",status="429"}} {refused}.0'
            in server.metrics()
        )
        five = server.predict(*[image()] * 5)  # R7: the queue's limit, and one more
        assert five.status_code == 200


def overloaded(server, seconds, clients):
    """Twice what the server can do, at a fixed rate: goodput, and p99, as parts of those of clients in turn.

    And p99 as a part of that of an unloaded server. The clients wait for their answers: all that the queue
    holds, and no more. Measured before and after, as other work may slow the machine.
    """
    load(server, 0, seconds / 6, clients)
    full, most, before = load(server, 0, seconds / 6, clients)
    unloaded, *_ = load(server, most / 4, seconds / 6)
    times, rate, goodput = load(server, 2 * most, seconds)
    *_, after = load(server, 0, seconds / 6, clients)
    counts = {status: len(taken) for status, taken in times.items()}
    slowest, of_clients, alone = (1000 * p99(taken[200]) for taken in (times, full, unloaded))
    print(
        f"capacity {most:.0f}/s, goodput {rate:.0f}/s; by each core left to the server {before:.0f} before, "
        f"{goodput:.0f}, {after:.0f} after; p99 {slowest:.0f} ms, "
        f"of {clients} clients {of_clients:.0f} ms, unloaded {alone:.0f} ms; {counts}"
    )
    assert counts.keys() == {200, 429}  # 0 is a timeout or a reset
    return goodput / min(before, after), slowest / of_clients, slowest / alone


@pytest.mark.long
@pytest.mark.parametrize("queue", [64, 4])
def test_r12_twice_the_capacity_for_a_minute(exported, tmp_path, queue):
    """A long queue is for many clients at once; a short one keeps the latency of an unloaded server."""
    with running(tmp_path, exported, decoders=None, queue=queue) as server:
        goodput, slower, than_unloaded = overloaded(server, 60, queue)
        assert server.status()["images"] == 0
        assert goodput >= 0.9
        assert (slower if queue == 64 else than_unloaded) <= 3


@pytest.mark.long
def test_r13_a_spike(exported, tmp_path):
    with running(tmp_path, exported, decoders=None) as server:
        load(server, 0, 5)
        _, most, _ = load(server, 0, 5)
        normal = most / 5  # of which a spike is twice the capacity
        before, *_ = load(server, normal, 10)
        memory = server.rss()
        spike, *_ = load(server, 10 * normal, 10)
        time.sleep(5)
        after, *_ = load(server, normal, 10)
        print(
            f"p99 {1000 * p99(before[200]):.0f} -> {1000 * p99(after[200]):.0f} ms, "
            f"memory {memory / 1e6:.0f} -> {server.rss() / 1e6:.0f} MB"
        )
        assert spike.keys() == {200, 429} and after.keys() == {200}
        assert p99(after[200]) <= 1.5 * p99(before[200])
        assert server.rss() < 1.1 * memory
