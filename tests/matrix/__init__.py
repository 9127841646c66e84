"""Every client dialect with every provider dialect."""
