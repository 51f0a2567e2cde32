"""Client of any OpenAI-compatible endpoint: send, retry, rate limit, reply store, pricing."""
