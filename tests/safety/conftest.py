"""The runner's session and project, for what is written to disk."""

from tests.runner.conftest import project, spark

__all__ = ["project", "spark"]
