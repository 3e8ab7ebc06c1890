"""Fixtures for tests of flow."""

import pytest

from vsrrin.flow import dis


@pytest.fixture
def opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flow by OpenCV, as where Numba is not installed."""
    monkeypatch.setattr(dis, "kernels", lambda module: None)


@pytest.fixture(params=["kernels", "opencv"])
def either_search(request: pytest.FixtureRequest) -> None:
    """Flow by kernels, where Numba is installed, and by OpenCV."""
    if request.param == "opencv":
        request.getfixturevalue("opencv")
