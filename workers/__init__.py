"""Who does the work and when: hints, thin tasks, kept leases, the sweeper; Celery for a fleet, threads for one machine.

The ledger is the truth; a message only says "look here". Every piece of work (ingest, chunk, finalise) is claimed in
the ledger before it starts and committed there once, so a message that is lost, late or doubled changes nothing.
"""
