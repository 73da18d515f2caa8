"""Figures are what is tested here: all are rendered."""

import pytest


@pytest.fixture(autouse=True)
def all_rendered(rendered: None) -> None:
    """Has figures rendered in every test."""
