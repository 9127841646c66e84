"""How each learned strategy is trained: `fit(rows)` gives the arrays its predictor reads."""
