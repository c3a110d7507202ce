"""What choosing among three healthy targets costs a request: CPU µs, beside the plainest loop there is.

The plain loop finds the model, draws an order by weight, and has one attempt; the routed one also looks at
health, limits, rules, fallbacks and the deadline, and keeps account of the attempt.
"""

import asyncio
import random
import time

import aigw
from aigw.pipeline.boundary import begin
from aigw.pipeline.choose import chosen as choose
from aigw.pipeline.choose import spoken_to
from aigw.pipeline.exchange import EXCHANGE, Attempt
from aigw.pipeline.payload import JsonPayload
from aigw.pipeline.route import route

BODY = b'{"model":"m","messages":[{"role":"user","content":"Hello"}]}'
ROUNDS = 20_000


def make_gateway():
    gateway = aigw.Gateway()
    provider = aigw.DemoProvider()
    targets = [aigw.Target(provider, f"model-{number}", number + 1.0) for number in range(3)]
    gateway.models.register("m", targets=targets)
    return gateway


def fresh(gateway, request, endpoint):
    exchange = begin(gateway, request, endpoint)
    exchange.payload = JsonPayload(BODY)
    exchange.model = "m"
    request[EXCHANGE] = exchange
    return exchange


async def handler(request):
    return None


async def plain(exchange, request):
    """Do what routing did before it knew of health."""
    known = exchange.gateway.models.resolve(exchange.model)
    exchange.entry, exchange.prefer = known.entry, known.prefer
    targets = [target for target in known.groups[0].targets if spoken_to(exchange, target, None)]
    keys = {target: random.random() ** (1 / target.weight) for target in targets}
    targets = sorted(targets, key=lambda target: keys[target], reverse=True)
    loop = asyncio.get_running_loop()
    target = targets[0]
    exchange.attempts.append(Attempt(target, spoken_to(exchange, target, None), 1, loop.time()))
    return await handler(request)


async def routed(exchange, request):
    return await route(request, handler)


async def chosen(exchange, request):
    return choose(exchange)


async def cost_us(step, gateway, request, endpoint):
    """Return the CPU time of one step for one request, without what it takes to make the exchange."""
    exchange = fresh(gateway, request, endpoint)
    began = time.process_time()
    for _ in range(ROUNDS):
        exchange.attempts.clear()
        await step(exchange, request)
    return (time.process_time() - began) / ROUNDS * 1e6


async def nothing(exchange, request):
    return await handler(request)


async def main():
    from aiohttp.test_utils import make_mocked_request

    gateway = make_gateway()
    gateway.make_app()
    endpoint = next(each for each in gateway.endpoints.values() if each.path == "/v1/chat/completions")
    request = make_mocked_request("POST", endpoint.path, headers={"Content-Type": "application/json"})
    request.transport.get_write_buffer_size.return_value = 0
    rows = {"nothing": nothing, "plain loop": plain, "choice alone": chosen, "choice and attempt": routed}
    costs = dict.fromkeys(rows, float("inf"))
    for _ in range(5):
        for name, step in rows.items():
            costs[name] = min(costs[name], await cost_us(step, gateway, request, endpoint))
    print("| step | µs | above the plain loop | ratio |\n|---|--:|--:|--:|")
    for name, cost in costs.items():
        above, ratio = cost - costs["plain loop"], cost / costs["plain loop"]
        print(f"| {name} | {cost:.2f} | {above:+.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    asyncio.run(main())
