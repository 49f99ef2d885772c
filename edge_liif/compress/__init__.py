"""Making smaller networks: data-free pruning and quantization. Nothing of the run path imports this wing."""
