"""What Envoy's configuration does beyond any proxy's (hostile_test.py)."""

import subprocess
import urllib.error
import urllib.request

import pytest

import proxies


def test_shipped_file_is_valid():
    subprocess.run([proxies.envoy_program(), "--mode", "validate", "-c", proxies.ENVOY_CONFIGURATION], check=True,
                   capture_output=True)


def test_status_shows_metrics_and_cannot_stop_the_proxy(proxy):
    with urllib.request.urlopen(f"http://{proxy.status}/stats/prometheus") as page:
        assert b'envoy_cluster_membership_healthy{envoy_cluster_name="sessions"} 3' in page.read()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(urllib.request.Request(f"http://{proxy.status}/quitquitquit", method="POST"))
