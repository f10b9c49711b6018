import asyncio

from headway import AsyncClient


async def main():
    async with AsyncClient("http://127.0.0.1:8787") as client:
        job = await client.submit("count_words", {"file": "owl.txt"})
        async for output in client.follow_log(job.job_id):
            print(output.decode(), end="")


asyncio.run(main())
