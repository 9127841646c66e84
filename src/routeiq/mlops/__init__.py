"""From outcomes to an artifact: read, train, evaluate, sign, promote. What serves is in `routing.learned`."""
