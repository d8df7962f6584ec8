"""Language models: folders of random weights in well-known shapes, and how they fare."""
