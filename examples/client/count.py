from headway import ApiError, Client

with Client("http://127.0.0.1:8787") as client:
    job = client.submit("count_words", {"file": "owl.txt"}, priority=10)
    job = client.wait_job(job.job_id)
    print(job.status, b"".join(client.log(job.job_id)).decode().split())
    try:
        client.submit("count_words", {"top": 3})
    except ApiError as error:
        print(error.code, [fault.pointer for fault in error.faults])
