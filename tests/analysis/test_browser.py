"""The report as a reader meets it: a real browser, its mouse and its keys."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from analysis.report import write
from analysis.report.server import Server, Source
from evolve.archive.repository import Archive
from evolve.individual import Offspring
from evolve.rundir import RunDirectory
from tests.analysis.archives import HOSTILE
from tests.analysis.browser import chromium, look
from tests.stub import evolve

BIAS = "BIAS = 0.5 "
PATIENCE = 240  # seconds: a page is made anew with a twentieth of a core, and others use that, too
GRAPH = "document.getElementById('graph')._cyreg.cy"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the real engine, with one more offspring of a model that means harm, not evaluated yet."""
    folder = tmp_path_factory.mktemp("reported") / "search"
    evolve(folder, pop=4, gens=5)
    with Archive.open(folder / "archive.git", write=True) as archive:
        seed = archive.individuals[0]
        text = seed.genome.replace(BIAS, "BIAS = 0.625 ") + f"# {HOSTILE}\n"
        child = archive.add(Offspring(text, (0,), "tune", HOSTILE, 1, model=HOSTILE, cost={"input_tokens": 10.0}))
        messages = [{"role": "system", "content": "Improve it."}, {"role": "user", "content": f"Now.\n\n{HOSTILE}"}]
        exchange = {"time": 1.0, "model": HOSTILE, "operator": "mutation", "intent": "tune", "turn": 0, "cost": None}
        exchange |= {"messages": messages, "reply": HOSTILE, "input_tokens": 10, "output_tokens": 5, "seconds": 1.0}
        archive.note_exchange(child, exchange)
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> Iterator[webdriver.Chrome]:
    assert "22 individuals" in write(str(run))
    with chromium() as browser:
        look(browser, 1280)
        browser.get((run / "report.html").as_uri())
        wait(browser, "return !document.getElementById('details').textContent.includes('Unpacking')")
        yield browser
        assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []


def wait(page: webdriver.Chrome, script: str) -> Any:
    return WebDriverWait(page, PATIENCE).until(lambda browser: browser.execute_script(script), f"never true: {script}")


def details(page: webdriver.Chrome) -> WebElement:
    return page.find_element(By.ID, "details")


def chosen(page: webdriver.Chrome) -> str:
    headings = page.find_elements(By.ID, "chosen")
    return headings[0].text.split()[0] if headings else ""


def click_node(page: webdriver.Chrome, id: int) -> None:
    """Click on an individual in the graph, with the mouse."""
    graph = page.find_element(By.ID, "graph")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", graph)
    place = page.execute_script(f"return {GRAPH}.getElementById('{id}').renderedPosition()")
    size = graph.rect
    x, y = place["x"] - size["width"] / 2, place["y"] - size["height"] / 2
    ActionChains(page).move_to_element_with_offset(graph, round(x), round(y)).click().perform()


def test_it_shows_everybody_and_fetches_nothing(page: webdriver.Chrome, run: Path) -> None:
    with Archive.open(run / "archive.git") as archive:
        everyone = archive.individuals
        edges = sum(len(one.parents) for one in everyone.values())
    assert page.execute_script(f"return {GRAPH}.nodes().length") == len(everyone)
    assert page.execute_script(f"return {GRAPH}.edges().length") == edges
    assert len(page.find_elements(By.CSS_SELECTOR, "#individuals button")) == len(everyone)
    assert len(page.find_elements(By.CSS_SELECTOR, "#figures svg")) == 7
    assert page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []
    tried = "const done = arguments[0]; fetch('http://127.0.0.1:9/').then(() => done('got it'), () => done('refused'))"
    page.execute_script(
        "window.blocked = []; addEventListener('securitypolicyviolation', (e) => blocked.push(e.blockedURI))"
    )
    assert page.execute_async_script(tried) == "refused"
    assert page.execute_script("return window.blocked")[0].startswith("http://127.0.0.1:9")
    page.get_log("browser")  # that attempt is told there, and nothing else may be


def test_a_click_shows_idea_diff_scores_and_curve(page: webdriver.Chrome, run: Path) -> None:
    with Archive.open(run / "archive.git") as archive:
        one = next(one for one in archive.individuals.values() if one.generation == 2 and len(one.parents) == 1)
        score, parent = one.fitness.mean, one.parents[0]
    click_node(page, one.id)
    assert chosen(page) == f"#{one.id}"
    text = details(page).text
    assert one.idea in text and f"{score:.5f}" in text and f"#{parent}" in text
    lines = [line.text for line in details(page).find_elements(By.CSS_SELECTOR, ".diff .added")]
    assert lines and all(line[1:] in one.genome for line in lines)
    assert details(page).find_elements(By.CSS_SELECTOR, ".diff .removed")
    assert details(page).find_elements(By.CSS_SELECTOR, "svg.curve polyline")
    assert page.execute_script(f"return {GRAPH}.nodes('.chosen').id()") == str(one.id)


def test_words_of_models_and_genomes_stay_words(page: webdriver.Chrome) -> None:
    title = page.title
    page.find_element(By.CSS_SELECTOR, '#individuals button[data-id="21"]').click()
    assert HOSTILE in details(page).text
    assert details(page).find_element(By.CSS_SELECTOR, ".diff .added").text.startswith("+BIAS = 0.625")
    assert any(HOSTILE in line.text for line in details(page).find_elements(By.CSS_SELECTOR, ".diff .added"))
    details(page).find_element(By.CSS_SELECTOR, "summary").click()
    said = [block.text for block in details(page).find_elements(By.CSS_SELECTOR, "pre.words")]
    assert said == ["Improve it.", f"Now.\n\n{HOSTILE}", HOSTILE]
    assert page.title == title
    assert page.execute_script("return document.images.length + document.scripts.length") == 4
    assert "tune (1)" in page.find_element(By.ID, "operator").text


def test_the_keyboard_is_enough(page: webdriver.Chrome) -> None:
    graph = page.find_element(By.ID, "graph")
    page.execute_script("arguments[0].focus()", page.find_element(By.ID, "outcome"))
    keys = ActionChains(page)
    keys.send_keys(Keys.TAB).perform()
    assert page.switch_to.active_element == graph
    assert page.execute_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    keys.send_keys(Keys.HOME).perform()
    assert chosen(page) == "#0"
    keys.send_keys(Keys.ARROW_DOWN).perform()
    below = chosen(page)
    assert below != "#0"
    keys.send_keys(Keys.ARROW_RIGHT).perform()
    assert chosen(page) not in (below, "#0")
    keys.send_keys(Keys.ARROW_LEFT).perform()
    assert chosen(page) == below
    keys.send_keys(Keys.ARROW_UP).perform()
    assert chosen(page) == "#0"
    before = page.execute_script(f"return {GRAPH}.zoom()")
    keys.send_keys("+").perform()
    assert page.execute_script(f"return {GRAPH}.zoom()") > before
    keys.send_keys("0", Keys.END, Keys.ENTER).perform()
    assert page.switch_to.active_element == details(page)
    assert chosen(page) in page.find_element(By.ID, "said").get_property("textContent")  # type: ignore[operator]
    keys.send_keys(Keys.ESCAPE).perform()
    assert page.switch_to.active_element == graph
    keys.send_keys(Keys.ESCAPE).perform()
    assert chosen(page) == "" and page.execute_script(f"return {GRAPH}.nodes('.chosen').length") == 0
    entry = page.find_element(By.CSS_SELECTOR, '#individuals button[tabindex="0"]')
    page.execute_script("arguments[0].focus()", entry)
    keys.send_keys(Keys.ARROW_DOWN, Keys.ENTER).perform()
    assert chosen(page) == page.switch_to.active_element.text.split()[0] != ""


def test_search_and_filters_leave_the_fitting_ones(page: webdriver.Chrome, run: Path) -> None:
    def shows(expected: Iterable[int]) -> None:
        """The browser hands a choice to the page a moment after it was made."""
        ids = sorted(expected)
        listed = "[...document.querySelectorAll('#individuals button')].map((b) => +b.dataset.id).sort((a, b) => a - b)"
        wait(page, f"return JSON.stringify({listed}) === '{json.dumps(ids, separators=(',', ':'))}'")
        bright = page.execute_script(f"return {GRAPH}.nodes().filter((n) => !n.hasClass('dim')).map((n) => +n.id())")
        assert sorted(bright) == ids
        assert page.find_element(By.ID, "shown").text == f"{len(ids)} of 22"

    def pick(name: str, value: str) -> None:
        Select(page.find_element(By.ID, name)).select_by_value(value)

    with Archive.open(run / "archive.git") as archive:
        everyone = archive.individuals
        operator = {id for id, one in everyone.items() if one.operator == "catalogue"}
        code = {id for id, one in everyone.items() if "bias = 0.625" in one.genome.lower()}
    search = page.find_element(By.ID, "search")
    search.send_keys("bias = 0.625")
    shows(code)  # nobody's idea says so: it is in the diff
    search.send_keys(Keys.ESCAPE)
    shows(range(22))
    pick("operator", "catalogue")
    shows(operator)
    pick("outcome", "pending")
    shows(set())
    pick("operator", "")
    shows({21})
    pick("outcome", "")
    shows(range(22))
    pick("order", "score")
    wait(page, "return [...document.querySelectorAll('#individuals button')].at(-1).textContent.includes('pending')")
    scores = [button.text.split("\n")[1] for button in page.find_elements(By.CSS_SELECTOR, "#individuals button")]
    assert scores[-1] == "pending" and scores[:-1] == sorted(scores[:-1], key=float)


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_phone_and_desktop_in_light_and_dark(page: webdriver.Chrome, width: int) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        look(page, width, scheme=scheme)
        wait(page, f"return document.documentElement.clientWidth === {width}")
        assert page.execute_script("return document.documentElement.scrollWidth") == width
        grounds.append(page.execute_script("return getComputedStyle(document.body).backgroundColor"))
        side = page.execute_script("return document.getElementById('details').getBoundingClientRect().left")
        assert (side > width / 2) == (width > 1000)
        ink = page.execute_script("return getComputedStyle(document.querySelector('#figures text')).fill")
        assert ink == page.execute_script("return getComputedStyle(document.body).color")
    assert grounds[0] != grounds[1]
    look(page, 1280)


def test_a_live_page_follows_the_search_and_keeps_what_its_reader_does(page: webdriver.Chrome, run: Path) -> None:
    server = Server(Source(RunDirectory(run), share=1.0), 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page.get(server.url)
        wait(page, "return document.getElementById('live').textContent.startsWith('live')")
        page.find_element(By.CSS_SELECTOR, '#individuals button[data-id="3"]').click()
        page.find_element(By.ID, "search").send_keys("e")
        with Archive.open(run / "archive.git", write=True) as archive:
            text = archive.individuals[0].genome.replace(BIAS, "BIAS = 0.75 ")
            archive.add(Offspring(text, (0,), "catalogue", "One more", 1))
        wait(page, f"return {GRAPH}.nodes().length === 23")
        wait(page, "return document.getElementById('details').textContent.includes('Runs')")
        assert chosen(page) == "#3"
        assert page.find_element(By.ID, "search").get_property("value") == "e"
        assert page.find_element(By.CSS_SELECTOR, '#individuals button[data-id="22"]').text.endswith("One more")
        addresses = page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert set(addresses) == {server.url}
    finally:
        server.shutdown()
        server.server_close()
    wait(page, "return document.getElementById('live').textContent.includes('the server is gone')")
    log = page.get_log("browser")
    assert all("ERR_CONNECTION_REFUSED" in entry["message"] for entry in log if entry["level"] == "SEVERE"), log
