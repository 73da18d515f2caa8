"""R8: what the server answers is what `/openapi.json` says."""

import re
import shutil
import subprocess

import pytest
from servers import image, running

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


def test_every_answer_is_declared(server):
    paths = server.client.get("/openapi.json").json()["paths"]
    answers = [
        server.predict(image()),
        server.predict(b"no image"),
        server.predict(image(), top_k=0),
        server.client.get("/predict"),
        server.client.post("/predict", content=b"x"),
        server.client.get("/info", params={"model": "other"}),
        server.client.get("/models", headers={"host": "evil.example"}),
    ]
    for answer in answers:
        route = paths[answer.request.url.path]
        declared = next(iter(route.values()))["responses"]
        assert str(answer.status_code) in declared, answer.request.url
    assert answers[3].headers["allow"] == "POST"
    assert "requestBody" in paths["/predict"]["post"] and "requestBody" in paths["/explain"]["post"]


@pytest.mark.long
def test_r8_schemathesis(exported, tmp_path):
    """5,000 cases without a fault; `/explain`, which takes seconds, has fewer in the same time."""
    program = shutil.which("schemathesis")
    if program is None:
        pytest.skip("needs schemathesis 4 on the PATH: pip install it in an environment of its own")
    with running(tmp_path, f"small={exported}", decoders=None) as server:
        done = subprocess.run(
            [program, "run", f"{server.url}/openapi.json", "--exclude-path", "/explain"]
            + ["--phases", "coverage,fuzzing,stateful", "--max-examples", "3000", "--seed", "1"]
            + ["--checks", ",".join(CHECKS), "--continue-on-failure"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        statuses = [r["status"] for r in server.records() if r["event"] == "request"]
    print(done.stdout[-3000:], len(statuses))
    assert done.returncode == 0
    assert max(statuses) < 500 and len(statuses) >= 5000
    assert re.search(r"(\d+) generated, \1 passed", done.stdout)
