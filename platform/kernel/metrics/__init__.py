"""What a monitoring system reads at `/metrics`: counted in each process, added up by whichever is asked.

`docs/decisions/metrics-in-snapshots.md` says why. `catalogue` names every metric; `process` counts in this process;
`snapshots` are what the processes of one machine show each other; `exposition` renders; `http` is the door.
"""
