"""`tirg-bench serve`: every route and the command, and what goes wrong."""

import io
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from click.testing import CliRunner
from PIL import Image
from starlette.testclient import TestClient

import css_gen.dataset
from benchmark.cli.main import main
from benchmark.errors import UsageError
from benchmark.runs.grid import plan, run_all
from benchmark.runs.single_run import Bench
from benchmark.search.model import Model
from benchmark.search.stored_models import find_model
from benchmark.serve import app as serving
from benchmark.serve import upload
from benchmark.serve.app import make_app
from benchmark.serve.service import LONGEST_TEXT, Service
from benchmark.serve.verdict import scene_of
from tests.benchmark.serve.conftest import serve_models


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(make_app(service), base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def ask(client: TestClient, **parameters: Any) -> Any:
    reply = client.get("/api/search", params={"image": 3, "text": "remove object", "k": 20} | parameters)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_answers_are_those_of_the_model(client: TestClient, model_file: Path, css_root: Path) -> None:
    test = css_gen.dataset.open(css_root).split("test")
    model = Model.load(model_file, device="cpu")
    gallery = model.test_images("css", css_root)
    for query in test.queries[::11]:
        found = ask(client, image=query.source_id, text=query.text)
        expected = model.rank(query.source_id, query.text, 20, gallery=gallery)
        assert [answer["row"] for answer in found["answers"]] == [answer.row for answer in expected.answers]
        assert (found["candidates"], found["relevant"]) == (expected.candidates, expected.relevant)
        right = query.modification.targets(test.scene(query.source_id))
        relevant = {row for row, key in enumerate(test.keys) if key in right and row != query.source_id}
        assert query.target_id in relevant
        assert set(found["right"]) <= relevant
        assert len(found["right"]) == min(12, len(relevant))
        for answer in found["answers"]:
            assert answer["is_relevant"] == answer["verdict"]["is_right"] == (answer["row"] in relevant)


def test_the_same_pixels_uploaded_give_the_same_answers(client: TestClient, css_root: Path) -> None:
    png = css_gen.dataset.open(css_root).split("test").png_3d(3)
    parameters = {"text": "remove object", "k": 20}
    reply = client.post("/api/search", params=parameters, content=png, headers={"content-type": "image/png"})
    assert reply.status_code == 200, reply.text
    assert reply.json() | {"milliseconds": 0} == ask(client) | {"milliseconds": 0}
    other = io.BytesIO()
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(other, "JPEG")
    reply = client.post(
        "/api/search", params=parameters, content=other.getvalue(), headers={"content-type": "image/jpeg"}
    )
    found = reply.json()
    assert (found["image"], found["relevant"], found["right"]) == ({"row": None, "scene": None}, None, [])
    assert {answer["verdict"] for answer in found["answers"]} == {None}


def test_pictures_and_what_they_show(client: TestClient, css_root: Path) -> None:
    test = css_gen.dataset.open(css_root).split("test")
    reply = client.get("/picture/5.webp")
    assert reply.headers["content-type"] == "image/webp"
    shown = np.asarray(Image.open(io.BytesIO(reply.content))).astype(int)
    assert abs(shown - test.image_3d(5)).mean() < 8
    for image in client.get("/api/images", params={"seed": 1, "count": 9}).json():
        found = client.get(f"/api/images/{image['row']}").json()
        assert found["scene"] == image["scene"] == test.scene(image["row"]).key
        asked = {query.text for query in test.queries if query.source_id == image["row"]}
        assert found["texts"]
        assert set(found["texts"]) <= asked
    assert client.get("/api/images?seed=1").json() == client.get("/api/images?seed=1").json()
    assert client.get("/api/images?seed=1").json() != client.get("/api/images?seed=2").json()
    assert client.get("/api/complete", params={"text": "make red "}).json()["words"][-1] == "object"


@pytest.mark.parametrize(
    ("address", "status", "expected"),
    [
        ("/api/search?image=9999&text=red", 400, "image 9999: the test images of css are 0 to"),
        ("/api/search?image=-1&text=red", 400, "image: expected a number from 0, got '-1'"),
        ("/api/search?image=٣&text=red", 400, "image: expected a number from 0"),
        ("/api/search?text=red", 400, "image: expected a number from 0, got 'nothing'"),
        ("/api/search?image=1&text=%20!", 400, "text: expected words that say what to change"),
        (
            f"/api/search?image=1&text={'x' * (LONGEST_TEXT + 1)}",
            400,
            "the text has 501 characters; expected at most 500",
        ),
        ("/api/search?image=1&text=red&k=0", 400, "k: expected 1 to 100, got 0"),
        ("/api/search?image=1&text=red&composer=../tirg", 400, "unknown composer '../tirg': did you mean tirg"),
        ("/api/images?count=1000", 400, "count: expected 1 to 60, got 1000"),
        ("/api/images/999", 400, "image 999: the test images of css are 0 to"),
        ("/picture/999.webp", 400, "image 999: the test images of css are 0 to"),
        ("/picture/999.webp?of=query", 400, "image 999: the test images of css are 0 to"),
        ("/picture/..%2f..%2fpyproject.toml", 404, "Not Found"),
        ("/..%2fapp.py", 404, "Not Found"),
        ("/templates/index.html.jinja", 404, "Not Found"),
        ("/docs", 404, "Not Found"),
    ],
)
def test_a_wrong_request_is_answered_in_one_line(address: str, status: int, expected: str, client: TestClient) -> None:
    reply = client.get(address)
    assert reply.status_code == status
    assert expected in reply.json()["error"]
    assert "\n" not in reply.json()["error"]
    assert reply.headers["x-content-type-options"] == "nosniff"


def png_of(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (width, height), "gray").save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "kind", "status", "expected"),
    [
        (png_of(30, 30), "text/plain", 415, "expected an image as image/jpeg or image/png"),
        (png_of(30, 30), "multipart/form-data; boundary=x", 415, "expected an image as"),
        (b"", "image/png", 400, "the uploaded file is not a JPEG or PNG image"),
        (b"GIF89a and so on", "image/png", 400, "the uploaded file is not a JPEG or PNG image"),
        (png_of(60, 60)[:-40], "image/png", 400, "the uploaded image is truncated or damaged"),
        (png_of(200, 60), "image/png", 400, "the uploaded image has 200 x 60 pixels; expected at most 10,000"),
        (b"x" * 5_001, "image/png", 413, "the image has more than"),
    ],
)
def test_an_upload_that_cannot_be_used(
    content: bytes, kind: str, status: int, expected: str, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "MOST_PIXELS", 10_000)
    monkeypatch.setattr(serving, "MOST_BYTES", 5_000)
    reply = client.post("/api/search?text=remove+object", content=content, headers={"content-type": kind})
    assert (reply.status_code, expected in reply.json()["error"]) == (status, True), reply.text


def test_only_pages_of_this_machine_are_answered(client: TestClient, service: Service) -> None:
    for host in ("127.0.0.1:8000", "localhost", "[::1]:8000"):
        assert client.get("/", headers={"host": host}).status_code == 200
    reply = client.get("/api/images", headers={"host": "elsewhere.example"})
    assert reply.status_code == 400
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    with TestClient(make_app(service, hosts=["*"]), base_url="http://elsewhere.example") as anywhere:
        assert anywhere.get("/").status_code == 200


def test_the_page_is_small_and_asks_nothing_of_others(client: TestClient) -> None:
    replies = [client.get(path) for path in ("/", "/style.css", "/page.js")]
    assert sum(len(reply.content) for reply in replies) < 100_000
    for reply in replies:
        assert reply.status_code == 200
        assert "https://" not in reply.text


def test_threads_get_the_answers_that_they_asked_for(service: Service) -> None:
    asked = [(row, text) for row in range(8) for text in ("remove object", "add red circle")]

    def answer(query: tuple[int, str]) -> list[int]:
        service.picture(query[0], of_query=True)
        found = service.answer("again", query[0], query[1], 15)
        return [each["row"] for each in found["answers"]]

    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(answer, asked))
    assert at_once == [answer(query) for query in asked]
    assert len({tuple(rows) for rows in at_once}) > 8


def test_answers_of_a_track_have_the_labels_of_its_gallery(bench: Bench, places: dict[str, Path]) -> None:
    (done,) = run_all(plan(["tirg"], ["css-relation"], [0], bench), bench)
    assert done.record, done.traceback
    path = find_model(bench.runs, "tirg", "css-relation", None, None)
    service = serve_models({"tirg": path}, "css-relation", places["css-relation"])
    test = css_gen.dataset.open(places["css-relation"]).split("test")
    labelled = 0
    for query in test.queries[::7]:
        wrong = {test.keys[row]: why for why, row in query.distractors}
        for answer in service.answer("tirg", query.source_id, query.text, 100)["answers"]:
            key, verdict = test.keys[answer["row"]], answer["verdict"]
            assert verdict["is_right"] == query.modification.is_target(test.scene(query.source_id), scene_of(key))
            if key in wrong and not verdict["is_right"]:
                assert verdict["kind"] == wrong[key]
                labelled += 1
    assert labelled > 5
    assert "the" in service.complete("remove ").words


def test_models_of_other_tasks_are_refused(runs: Path, css_root: Path) -> None:
    flat = find_model(runs, "tirg", "css-2d3d", None, None)
    with pytest.raises(UsageError, match="is a model on css-2d3d, not on css"):
        serve_models({"tirg": flat}, "css", css_root)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The addresses at which servers would have listened."""
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda _, sockets: found.append(sockets[0].getsockname()))
    return found


def test_the_command_listens_on_this_machine_alone(
    started: list[tuple[Any, ...]],
    runs: Path,
    model_file: Path,
    css_root: Path,
) -> None:
    given = [f"--runs={runs}", f"--data=css={css_root}", "--port=0", "--device=cpu"]
    result = CliRunner().invoke(main, ["serve", *given])
    assert result.exit_code == 0, result.output
    ((host, port),) = started
    assert host == "127.0.0.1"
    assert f"images of css, 1 composer: open http://127.0.0.1:{port} " in result.stdout
    result = CliRunner().invoke(
        main, ["serve", *given, f"--model={model_file}", f"--model={model_file}", "--host=0.0.0.0"]
    )
    assert result.exit_code == 0, result.output
    assert started[1][0] == "0.0.0.0"
    assert "it has no password" in result.stderr
    assert "2 composers" in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_an_error(
    number: int, runs: Path, css_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: signal.raise_signal(number))
    given = [f"--runs={runs}", f"--data=css={css_root}", "--port=0", "--device=cpu"]
    result = CliRunner().invoke(main, ["serve", *given])
    assert (result.exit_code, result.stderr) == (0, "")


def test_what_cannot_be_served_is_said_in_one_line(runs: Path, css_root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = [
            (
                ["--runs=nowhere"],
                1,
                "nowhere holds no model on css; `tirg-bench run --composer tirg --dataset css` makes",
            ),
            ([f"--runs={runs}", "--composer=film"], 1, "no model of film on css"),
            ([f"--runs={runs}", "--dataset=cs"], 2, "unknown dataset 'cs': did you mean css"),
            ([f"--runs={runs}", "--preset=paper"], 1, "holds no model on css with --preset paper"),
            (["--model=no.safetensors"], 1, "no.safetensors: there is no such checkpoint"),
            ([f"--runs={runs}", f"--data=css={css_root}", f"--port={port}"], 1, "cannot listen there"),
            ([f"--runs={runs}", "--data=css=nowhere", "--port=0"], 1, "nowhere does not exist"),
        ]
        for options, code, expected in cases:
            result = CliRunner().invoke(main, ["serve", *options])
            assert (result.exit_code, expected in result.stderr) == (code, True), (options, result.output)
            assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("missing", ["starlette.applications", "uvicorn"])
def test_without_the_extra_the_command_says_how_to_install_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "benchmark.serve.app")
    result = CliRunner().invoke(main, ["serve"])
    assert result.exit_code == 2
    assert "serve needs starlette and uvicorn: pip install 'css-bench[app]'" in result.stderr
