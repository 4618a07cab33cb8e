"""Why a decision was made, and what would have changed it."""
