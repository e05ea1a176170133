"""How thoroughly the property tests look: HYPOTHESIS_PROFILE is default, ci or nightly."""

import os

from hypothesis import HealthCheck, settings

# The machines that run the tests are shared: how long one example takes says nothing.
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("default", deadline=None, suppress_health_check=_SLOW)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.register_profile("nightly", parent=settings.get_profile("default"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
