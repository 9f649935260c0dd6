"""Why a pipe failed, and whether another try can help."""
