"""A sample of a worker and its clients: sample.py ADDRESS NAMESPACE COMMAND [ID]."""

import asyncio
import os
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "sample"


@activity.defn
async def greet(name: str) -> str:
    return f"Hello, {name}"


@workflow.defn
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(
            greet, name, start_to_close_timeout=timedelta(seconds=30)
        )


@workflow.defn
class Nap:
    """Goes on after a timer, wherever the server was meanwhile."""

    @workflow.run
    async def run(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return await workflow.execute_activity(
            greet, "after a nap", start_to_close_timeout=timedelta(seconds=30)
        )


def worker(client: Client) -> Worker:
    return Worker(client, task_queue=QUEUE, workflows=[Greeting, Nap], activities=[greet])


async def events(handle) -> list:
    return [event.event_type async for event in handle.fetch_history_events()]


async def main(address: str, namespace: str, command: str, name: str = "") -> None:
    client = await Client.connect(address, namespace=namespace)
    if command == "greet":
        async with worker(client):
            print(await client.execute_workflow(Greeting.run, name, id=name, task_queue=QUEUE))
    elif command == "nap":
        # Leaves as soon as the timer is set.
        async with worker(client):
            handle = await client.start_workflow(Nap.run, 2.0, id=name, task_queue=QUEUE)
            while EventType.EVENT_TYPE_TIMER_STARTED not in await events(handle):
                pass
        print("napping")
    elif command == "finish":
        async with worker(client):
            print(await client.get_workflow_handle(name).result())
    elif command == "history":
        handle = client.get_workflow_handle(name)
        print(*[EventType.Name(event) for event in await events(handle)])
        print(await handle.result())
    elif command == "work":
        async with worker(client):
            print("waiting for tasks", flush=True)
            # Until whoever started it closes the pipe.
            await asyncio.to_thread(sys.stdin.read)
    elif command == "ask":
        print(await client.execute_workflow(Greeting.run, name, id=name, task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
    # The threads of the SDK may be at work still, and die of an interpreter that ends.
    sys.stdout.flush()
    os._exit(0)
