"""What every benchmark here is made of: processes on their cores, a load that checks answers, scenarios.

processes   start, pin, wait for, read (CPU, memory) and stop what is measured
wire        what the load asks, and what a whole and right answer is
load        closed loops and paced streams, in a process of their own
scenarios   the cases by their short names
gateways    how each gateway is configured and started
counting_plugin   what aigw calls at each request's end
pieces      one answer in any format, for the benchmarks of codecs
tables      what was measured, as Markdown
ready       the interpreter that has what the benchmarks need
"""
