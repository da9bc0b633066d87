"""
A relay between clients of the Anthropic Messages API and many providers of it.

A **request** comes in at the web, a **plan** names the next **attempt**, the
**upstream client** carries it, and the answer is **relayed** back.  Whatever
decides is pure; whatever waits is a Deferred; whoever hangs up, cancels.

The ladder (a room may import only from rooms below it; a test says so)::

    cli  tap      command lines: `ccrelay`, `twistd ccrelay`
    service       builds every room, starts and stops them: the one composition root
    simulator     a provider that lives inside the relay: first run, drills, tests
    config        what the operator wrote; only service, cli and tap look at it
    web           the door: Klein resources for the Messages API
    observe       sinks: log, recent requests.  They watch; nobody asks them
    relay         the work: one request answered (attempts, streaming, backpressure)
    upstream      treq, its IAgent, connections, timeouts
    http1         HTTP/1.1 on llhttp: a channel and a request for the door, an agent for treq
    credentials   what an upstream request is authorized with; threads to fetch it in
    - - - - - - - below this line: no reactor, clock, thread, socket or randomness
                  but what is passed in
    providers     dialects: how each kind of backend wants to be asked
    policy        decisions: routes, plan, verdicts
    wire          bytes and JSON: request body, server-sent events, usage, headers
    errors        the tree of exceptions, drawn in its docstring
"""
