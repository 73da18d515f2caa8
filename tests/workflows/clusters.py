"""Ray without a cluster: its functions, in this process. What would be sent away is pickled."""

import pickle
import sys
from types import SimpleNamespace

MACHINE = {"CPU": 2.0, "memory": 1e9}


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


def pretended(monkeypatch, *machines):
    """Has `import ray` give a cluster of these machines; returns it, with what was asked of it."""

    class Remote:
        def __init__(self, function):
            self.function = function

        def remote(self, *arguments):
            task = f"task {len(tasks)}"
            tasks[task] = pickle.dumps((self.function, arguments))
            return task

    def remote(**options):
        ray.options = options
        return Remote

    def get(task):
        function, arguments = pickle.loads(tasks[task])
        return pickle.loads(pickle.dumps(function(*arguments)))

    def wait(waiting, num_returns=1, timeout=None):
        return waiting[-num_returns:], waiting[:-num_returns]  # the last one is the first to end

    tasks = {}
    ray = SimpleNamespace(remote=remote, get=get, wait=wait, tasks=tasks, options={}, cancelled=[])
    ray.nodes = lambda: [{"Alive": True, "Resources": one} for one in machines or [MACHINE]]
    ray.is_initialized, ray.cancel = lambda: True, ray.cancelled.append
    ray.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray
