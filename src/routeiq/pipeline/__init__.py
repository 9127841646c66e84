"""One request's journey, from the key to the Event. See `stages` for the whole of it on one page."""
