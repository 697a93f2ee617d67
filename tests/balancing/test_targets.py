"""What becomes of connections through a balancer while its targets, and what is said of them, change. In a running region; who is
where: tests/balancing/conftest.py. Balancers of these tests' own, so that nobody else's targets change.

    client -- balancer (internal, zone a; TCP 80, 81) -- one, three
"""
