"""Genomes that operations on a lineage made, as a reader of the report meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from analysis.report import write
from evolve.archive.repository import Archive
from evolve.individual import Individual
from tests.analysis.browser import chromium, look

GRAPH = "document.getElementById('graph')._cyreg.cy"


@pytest.fixture(scope="module")
def page(operated: Path) -> Iterator[webdriver.Chrome]:
    write(str(operated))
    with chromium() as browser:
        look(browser, 1280)
        browser.get((operated / "report.html").as_uri())
        unpacked = "return !document.getElementById('details').textContent.includes('Unpacking')"
        WebDriverWait(browser, 60).until(lambda page: page.execute_script(unpacked))
        yield browser
        assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []


@pytest.fixture(scope="module")
def pruned(operated: Path) -> Individual:
    with Archive.open(operated / "archive.git") as archive:
        champion = archive.champion()
        assert champion is not None
        return archive.resolve(f"pruned/{champion.id}")


def test_the_graph_has_a_node_for_every_commit_of_a_genome(page: webdriver.Chrome, operated: Path) -> None:
    with Archive.open(operated / "archive.git") as archive:
        everyone, derived = archive.everyone, archive.derived
        edges = sum(len(one.parents) for one in everyone.values())
    assert page.execute_script(f"return {GRAPH}.nodes().length") == len(everyone)
    assert page.execute_script(f"return {GRAPH}.edges().length") == edges
    marked = page.execute_script(
        f"return {GRAPH}.nodes('.derived').map((n) => [+n.id(), n.data('label'), n.style('shape')])"
    )
    assert marked == [[one.id, one.name, "rectangle"] for one in derived.values()]
    assert len(page.find_elements(By.CSS_SELECTOR, "#individuals button")) == len(everyone)


def test_a_pruned_genome_is_read_like_any_other(page: webdriver.Chrome, pruned: Individual) -> None:
    search = page.find_element(By.ID, "search")
    search.send_keys("pruned/")
    listed = "return document.querySelectorAll('#individuals button').length"
    WebDriverWait(page, 60).until(lambda page: page.execute_script(listed) == 1)
    page.find_element(By.CSS_SELECTOR, f'#individuals button[data-id="{pruned.id}"]').click()
    search.send_keys(Keys.ESCAPE)
    details = page.find_element(By.ID, "details")
    scores = [outcome.score for outcome in pruned.studies if outcome.score is not None]
    text = details.text
    assert text.startswith(f"{pruned.name} {pruned.idea}")
    assert f"{sum(scores) / len(scores):.5f}" in text and f"runs on fresh seeds {len(scores)}" in text
    assert f"over #{pruned.parents[0]}, on the same seeds" in text and "operator prune" in text
    assert f"Changed on #{pruned.parents[0]}" in text
    assert f"branch pruned/{pruned.parents[0]}" in text and "check 1" in text
    assert details.find_elements(By.CSS_SELECTOR, ".diff .removed")
    assert details.find_elements(By.CSS_SELECTOR, "svg.curve polyline")


def test_the_keys_lead_to_them_and_back(page: webdriver.Chrome, operated: Path) -> None:
    with Archive.open(operated / "archive.git") as archive:
        first = next(one for one in archive.derived.values() if one.operator == "ablation")
    page.execute_script(f"document.querySelector('#individuals button[data-id=\"{first.id}\"]').click()")
    page.execute_script("document.getElementById('graph').focus()")
    keys = ActionChains(page)
    keys.send_keys(Keys.ARROW_UP).perform()
    assert page.find_element(By.ID, "chosen").text.startswith(f"#{first.parents[0]} ")
    for relative in page.find_elements(By.CSS_SELECTOR, ".relatives button"):
        if relative.text == first.name:
            relative.send_keys(Keys.ENTER)
            break
    assert page.find_element(By.ID, "chosen").text.startswith(f"{first.name} ")
    assert page.switch_to.active_element == page.find_element(By.ID, "details")


def test_a_filter_tells_them_from_the_search(page: webdriver.Chrome, operated: Path) -> None:
    with Archive.open(operated / "archive.git") as archive:
        search, derived = len(archive.individuals), len(archive.derived)
    shown = page.find_element(By.ID, "shown")
    for made, count, kinds in (("search", search, {False}), ("derived", derived, {True})):
        Select(page.find_element(By.ID, "made")).select_by_value(made)
        WebDriverWait(page, 60).until(lambda _, count=count: shown.text == f"{count} of {search + derived}")
        bright = page.execute_script(
            f"return {GRAPH}.nodes().filter((n) => !n.hasClass('dim')).map((n) => n.hasClass('derived'))"
        )
        assert len(bright) == count and set(bright) == kinds
    Select(page.find_element(By.ID, "made")).select_by_value("")


def test_the_figures_on_top_are_the_searches_alone(page: webdriver.Chrome, operated: Path, run: Path) -> None:
    with Archive.open(run / "archive.git") as before, Archive.open(operated / "archive.git") as after:
        births, evaluations, studies = len(before.individuals) - 1, len(before.in_order()), len(after.studies())
    tiles = {
        tile.find_element(By.TAG_NAME, "dt").text: tile.find_element(By.TAG_NAME, "dd").text
        for tile in page.find_elements(By.CSS_SELECTOR, ".tile")
    }
    assert [tiles[name] for name in ("Offspring", "Evaluations", "Runs of operations")] == [
        str(births),
        str(evaluations),
        str(studies),
    ]


def test_without_them_nothing_speaks_of_them(page: webdriver.Chrome, run: Path, tmp_path: Path) -> None:
    write(str(run), str(tmp_path / "report.html"))
    page.get((tmp_path / "report.html").as_uri())
    assert [part.is_displayed() for part in page.find_elements(By.CSS_SELECTOR, ".if-derived")] == [False, False]
