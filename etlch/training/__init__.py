"""Queue, state and provenance of llamafactory-cli jobs; hardware and doctor."""
