"""The code of the READMEs runs, and prints what they say."""

import importlib.util
import os
import re

from checkpoint import TinyBert
from server import Server
from server_fixtures import ROOT

PLACE = "127.0.0.1:8001"
BLOCK = re.compile(r"```python\n(.*?)```\n", re.DOTALL)


def test_example_of_the_root_prints_what_it_says(address, capsys, monkeypatch):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code, said = re.search(r"```python\n((?:(?!```).)*attnserve\.Client.*?)```\n\n((?:    [^\n]*\n)+)", text,
                           re.DOTALL).groups()
    assert PLACE in code and len([line for line in code.splitlines() if line]) <= 10
    monkeypatch.chdir(ROOT)
    exec(compile(code.replace(PLACE, address), "README.md", "exec"), {})
    assert capsys.readouterr().out == re.sub("^    ", "", said, flags=re.MULTILINE)


def test_every_block_of_the_packages_readme_runs(binary, monkeypatch, tmp_path):
    TinyBert().write(tmp_path / "models/tiny-bert")
    with Server(binary, "--layers", str(tmp_path / "models")) as server:
        run_blocks(server.address(), monkeypatch, tmp_path)
        assert server.stop() == 0


def run_blocks(address, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((ROOT / "client/python/README.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 9
    names, left_out = {}, []
    for block in blocks:
        missing = [module for module in ("torch", "transformers")
                   if re.search(rf"\b{module}\b", block) and importlib.util.find_spec(module) is None]
        if missing:
            left_out.append(missing)
            continue
        exec(compile(block.replace(PLACE, address), "client/python/README.md", "exec"), names)
    assert len(left_out) <= 2 and os.path.exists("chat.safetensors")
    for client in (names["client"], *names["clients"]):
        client.close()
