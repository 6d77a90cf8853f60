"""Settings of the tests."""

import hypothesis

# A busy machine is slow now and then: time is not what these tests are about.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
