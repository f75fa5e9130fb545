"""No property test fails because the machine is slow."""

from hypothesis import settings

settings.register_profile("ablate", deadline=None)
settings.load_profile("ablate")
