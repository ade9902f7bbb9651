"""A data generator that lays out its files as Binance's archive does.

Belongs here: the model and its files. Does not: anything that real data passes through.
"""
