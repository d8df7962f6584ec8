"""Apple MLX: converts, quantizes and runs language models; made for Apple's chips, on Linux for its answers only."""
