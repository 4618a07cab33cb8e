"""What holds for all tests."""

from hypothesis import settings

# Time is measured in benchmarks/: a slow machine breaks no claim. What fails is printed with the line
# that repeats it.
settings.register_profile("claims", deadline=None, print_blob=True)
settings.load_profile("claims")
