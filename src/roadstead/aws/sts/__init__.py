"""The operations of STS: who is calling."""
