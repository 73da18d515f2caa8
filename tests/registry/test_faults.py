"""A registry on Postgres behind a network that is slow, resets or swallows, and a server meanwhile (R36)."""

import threading
import time
from contextlib import contextmanager

import pytest
from registry.proxy import Proxy
from registry.test_registry import add, require_one_unbroken_history
from servers import image, running

import seewhy
from seewhy.errors import RegistryError
from seewhy.registry import postgres as bounds
from seewhy.registry.registry import Registry


@pytest.fixture
def direct(postgres, model_file):
    """The address of a registry with three versions of `photos`."""
    place = postgres.database()
    with Registry(place, make=True) as registry:
        for number in range(3):
            add(registry, model_file(number))
        registry.promote("photos", 1)
    return place


@pytest.fixture
def proxy(postgres):
    with Proxy(f"{postgres.home}/.s.PGSQL.5432") as one:
        yield one


def through(proxy, place):
    """The address by way of the proxy."""
    user, database = place.split("@/")[0], place.split("@/")[1].split("?")[0]
    return f"{user}@127.0.0.1:{proxy.port}/{database}"


def test_a_slow_network_slows_and_changes_nothing(direct, proxy):
    proxy.latency = 0.02
    with Registry(through(proxy, direct)) as registry:
        for version in (2, 3, 1):
            registry.promote("photos", version)
        assert registry.rollback("photos").version == 3
    require_one_unbroken_history(direct)


def test_what_was_acknowledged_before_a_reset_is_there(direct, proxy):
    """Connections are reset all the time: an operation succeeds or is an error, and none is half done."""
    acknowledged, refused, ends = [], [], threading.Event()

    def resetting():
        while not ends.wait(0.03):
            proxy.reset()

    thread = threading.Thread(target=resetting)
    thread.start()
    try:
        for number in range(40):
            try:
                with Registry(through(proxy, direct)) as registry:
                    acknowledged.append(registry.promote("photos", 1 + number % 3))
            except RegistryError as error:
                assert error.code == "unreachable"
                refused.append(error)
    finally:
        ends.set()
        thread.join()
    history = require_one_unbroken_history(direct)
    assert refused
    for event in acknowledged:
        assert event in history


def test_a_server_that_is_silent_is_given_up_and_found_again(direct, proxy, monkeypatch):
    monkeypatch.setattr(bounds, "SILENCE", 1)
    with Registry(through(proxy, direct)) as registry:
        assert registry.find("photos").version == 1
        proxy.hole = True
        start = time.monotonic()
        with pytest.raises(RegistryError, match=r"no answer in 1 s|timeout") as error:
            registry.find("photos")
        assert error.value.code == "unreachable" and time.monotonic() - start < 20
        proxy.hole = False
        assert registry.find("photos").version == 1


@pytest.fixture
def served(request, postgres, proxy, exported, enlarging, tmp_path, monkeypatch):
    """A server of the champion of a registry that it reaches by the proxy, and how to promote past it.

    A test may have it look and give up sooner.
    """
    changed = getattr(request, "param", {})
    place = postgres.database()
    digests = [
        seewhy.register(model, "photos", registry=place).digest for model in (exported, enlarging)
    ]

    def promote(version):
        with Registry(place) as registry:
            registry.promote("photos", version)
        return digests[version - 1]

    promote(1)
    monkeypatch.setenv("SEEWHY_REGISTRY", through(proxy, place))
    with running(tmp_path, "registry:photos@champion", changed=changed) as server:
        yield server, promote


@contextmanager
def requests_to(server):
    """Asks the server all the time, and has each request answered."""
    answers, ends = [], threading.Event()

    def ask():
        while not ends.wait(0.01):
            reply = server.client.post("/predict", files={"file": image()})
            answers.append((reply.status_code, reply.json()["model"]["digest"]))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        ends.set()
        thread.join()
    assert answers and {status for status, _ in answers} == {200}


def seconds_until(answers, digest, most):
    start = time.monotonic()
    while answers[-1][1] != digest:
        assert time.monotonic() - start < most, "the promotion is not seen"
        time.sleep(0.02)
    return time.monotonic() - start


def outages(server, promote, proxy, seconds, most):
    """Slow, reset, silent and refused, each for so long; the seconds until a promotion is seen after each."""
    seen, version = {}, 1
    with requests_to(server) as answers:
        while not answers:
            time.sleep(0.02)

        def promoted(name, within=most):
            nonlocal version
            version = 3 - version
            seen[name] = seconds_until(answers, promote(version), within)

        promoted("without a fault")
        proxy.latency = 0.05
        promoted("slow")
        proxy.latency = 0.0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            proxy.reset()
            time.sleep(0.05)
        promoted("after resets")
        proxy.hole = True
        time.sleep(seconds)
        proxy.hole = False
        promoted("after silence", 2 * most)
        proxy.refuses = True
        proxy.reset()
        time.sleep(seconds)
        proxy.refuses = False
        promoted("after refusals")
    return seen, len(answers)


SOON = {"serving.server.WATCH_SECONDS": 0.2, "registry.postgres.SILENCE": 1}


@pytest.mark.parametrize("served", [SOON], indirect=True, ids=["soon"])
def test_a_server_answers_whatever_the_network_does(served, proxy):
    server, promote = served
    seen, _ = outages(server, promote, proxy, 0.6, 60)
    assert len(seen) == 5


@pytest.mark.long
def test_r36_a_server_outlives_its_database_for_five_minutes(served, proxy, postgres):
    """No request fails; a promotion is seen within 5 seconds, or 10 after silence, since a question hangs."""
    server, promote = served
    seen, answered = outages(server, promote, proxy, 20, 5)
    with requests_to(server) as answers:
        postgres.stop()
        try:
            time.sleep(300)
        finally:
            postgres.start()
        seen["after 5 minutes without a database"] = seconds_until(answers, promote(1), 5)
        seen["promoted again"] = seconds_until(answers, promote(2), 5)
    answered += len(answers)
    print(f"{answered:,} requests, 0 failed; seconds until a promotion is seen: {seen}")
