"""Simulations that many tests look at."""

import pytest

from tests.support.events import simulated_accounts as cases
from tests.support.events import simulated_books as simulated
from worker.simulate import SimulateConfig
from worker.simulate.stories import assignment as stories


@pytest.fixture(scope="session", params=(1, 2))
def money(request: pytest.FixtureRequest) -> simulated.SimulatedBooks:
    """Two days with stories of money only."""
    of_money = tuple(variant for variant in stories.STORIES if variant.rule in simulated.MONEY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stories, "STORIES", of_money)
        config = SimulateConfig(accounts=1_100, days=2, stories_per_variant=5)
        return simulated.SimulatedBooks(config, request.param)


@pytest.fixture(scope="session", params=(1, 2, 3))
def security(request: pytest.FixtureRequest) -> cases.SimulatedAccounts:
    """Two days with every story once."""
    return cases.SimulatedAccounts(
        SimulateConfig(accounts=400, days=2, stories_per_variant=1), request.param
    )
