"""Torture test: uploads run while processes are killed and servers are disrupted at random, by a repeatable schedule.

fault_kinds.py  which kinds of faults there are, and how frequent each is
schedule.py     what will happen, computed from a seed; pure
files.py        the bytes of each upload
opening.py      starts the servers, the cell's processes, and the proxy in front of the store
world.py        what a fault can affect of these, and what is observed
faults.py       each kind of fault: how it is injected and how it is healed
failover.py     of these, the faults of Redis with Sentinel
refusals.py     of these, the faults of servers that run and refuse what they are asked
stored.py       the fault of a store that loses segments which it had acknowledged
client.py       uploads files as a correct client does, and retries until they have ended
callers.py      who uploads, and with which key or token
strangers.py    checks that no owner sees what belongs to another
other_ways.py   imports objects, and sends files to the store itself
board.py        which stages are queued or running now
watch.py        records events and take-overs during the run
accounting.py   checks during the run what the temp volume holds and reserves
acknowledged.py checks during the run that no acknowledged segment has to be sent again
audit.py        afterwards: is any upload lost, is anything left over
report.py       the report: table, JSON, details of problems
tables.py       several reports as one Markdown table
"""
