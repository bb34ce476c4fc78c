"""A fuzzer of the tus protocol: clients that send right and wrong requests at random, against two real gateways.

Guarantee: each file is a `TusFile` that knows which bytes the server has acknowledged. The run fails when a response is
a 5xx, when an offset falls behind acknowledged bytes or leaves the file, or when wrong bytes are accepted. At the end
each file whose bytes have all arrived must be stored as it is, and nothing of the others may be left.
"""
