"""Layers at the start of a server: what cannot be loaded ends it with the file that is to blame, nothing to load is
said, and a signal does not wait for the last layer."""

from __future__ import annotations

import signal
import subprocess

import pytest

from checkpoint import TinyBert

LOCAL = ("--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0")


def ended(binary, *flags):
    """Exit code and log of a server that ends by itself."""
    done = subprocess.run([str(binary), *LOCAL, *map(str, flags)], capture_output=True, text=True, timeout=60)
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


def log_until(server, text):
    """Lines of a server's log up to one with the text, or to the end."""
    lines = []
    for line in server.stderr:
        lines.append(line)
        if text in line:
            break
    return lines


def signalled(binary, text, *flags):
    """Exit code of a server that gets SIGTERM at a line with the text, its log until then, and after it."""
    with subprocess.Popen([str(binary), *LOCAL, "--drain-delay", "0s", *map(str, flags)], stderr=subprocess.PIPE,
                          text=True) as server:
        before = log_until(server, text)
        server.send_signal(signal.SIGTERM)
        after = server.stderr.readlines()
    return server.returncode, before, after


def test_a_folder_without_models_is_said(binary, tmp_path):
    code, before, after = signalled(binary, " serving ", "--layers", tmp_path)
    assert code == 0
    assert any("there are no layers" in line and str(tmp_path) in line for line in before)
    assert "drained" in after[-1]


def test_a_signal_ends_the_start_between_two_layers(binary, tmp_path):
    TinyBert().write(tmp_path / "deep", num_layers=400)
    code, _, after = signalled(binary, "layer loaded", "--layers", tmp_path)
    assert code == 0
    assert "ended before it served" in after[-1]
    assert len(after) < 200
