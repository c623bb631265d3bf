"""What bench_musetalk_gpu.py is made of."""
