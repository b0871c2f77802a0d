"""Tables, key metrics and comparisons of evaluations, independent of the web."""
