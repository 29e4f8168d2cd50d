"""What was copied from others is exactly what its table says."""

import hashlib
import re

from waystation.web import STATIC, environment

VENDOR = STATIC / "vendor"
ROW = re.compile(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", re.MULTILINE)


def test_every_vendored_file_has_the_hash_in_the_table() -> None:
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in VENDOR.iterdir()
        if file.name != "README.md"
    }
    assert found == dict(ROW.findall((VENDOR / "README.md").read_text("utf-8")))


def test_every_static_file_that_a_template_names_exists() -> None:
    loader = environment({}).loader
    assert loader is not None
    sources = [loader.get_source(environment({}), name)[0] for name in loader.list_templates()]
    named = {name for source in sources for name in re.findall(r"\{\{ static_url \}\}/([^\"]+)", source)}
    assert named
    assert [name for name in named if not (STATIC / name).is_file()] == []


def test_no_page_holds_a_script_or_a_style_of_its_own() -> None:
    folders = (STATIC.parent / "templates", *STATIC.parent.parent.glob("*/templates"))
    pages = {file.name: file.read_text("utf-8") for folder in folders for file in folder.rglob("*.html")}
    inline = re.compile(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=|javascript:", re.IGNORECASE)
    assert [name for name, text in pages.items() if inline.search(text)] == []
