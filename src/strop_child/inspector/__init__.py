"""What a model is, by its files alone: a reader for each format."""
