"""What evaluations say: tables, key metrics, comparisons. No web in it."""
