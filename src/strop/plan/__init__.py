"""What is this model, which backends fit it, which recipes are worth trying. Pure, but for finding what is installed."""
