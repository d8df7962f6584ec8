"""The families of models that Strop knows: a folder each, which no other one imports."""
