"""A server whose layers cannot be loaded does not start, and says which file is to blame."""

from __future__ import annotations

import subprocess

import pytest


def ended(binary, *flags):
    """Exit code and log of a server that ends by itself."""
    done = subprocess.run([str(binary), "--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0",
                           *map(str, flags)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def test_a_bad_file_ends_the_start_with_its_name_and_reason(binary, tmp_path):
    model = tmp_path / "broken"
    model.mkdir()
    (model / "config.json").write_text("{}")
    code, log = ended(binary, "--layers", tmp_path)
    assert code == 1
    assert f"layers: {model}/config.json: model_type must be a string" in log


@pytest.mark.parametrize(("names", "why"), [("nobody/0", "there is no model nobody"), ("no name", "name")])
def test_a_layer_that_is_not_there_ends_the_start(binary, tmp_path, names, why):
    code, log = ended(binary, "--layers", tmp_path, "--load-layers", names)
    assert code == 1
    assert f"layers: layer {names}: " in log
    assert why in log


def test_a_folder_that_is_not_there_ends_the_start(binary, tmp_path):
    code, log = ended(binary, "--layers", tmp_path / "nowhere")
    assert code == 1
    assert "nowhere: No such file or directory" in log
