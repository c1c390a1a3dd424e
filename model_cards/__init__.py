"""Model cards, and what stands between a folder of weights and the Hub."""
