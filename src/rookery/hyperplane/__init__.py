"""Hyperplane, without its packets: who is in a cell, what its file says, who lives. Packets are the business of bpf/ alone."""
