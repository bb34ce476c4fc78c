"""Torture: uploads run while processes are killed and servers are broken at random, by a schedule that can be replayed.

schedule.py   what will happen, from a seed: pure
files.py      the bytes of each upload
world.py      the servers, the cell's processes, the shaper before the store
faults.py     each kind of fault: how to inject it, how to mend it
client.py     uploads files as a good client does, and asks again for as long as it takes
board.py      what runs at this moment
watch.py      reads the board meanwhile: events, take-overs
audit.py      at the end: is anything lost, is anything left over
report.py     the table
"""
