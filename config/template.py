"""The headway.toml that `headway init` writes.

Invariant: it loads without a fault and states every default: the job types that exist without a
file are read from this text, and a test compares the rest with the defaults.
"""

TEMPLATE = """\
# headway.toml: the configuration of headway. As it stands, it states the defaults.
# `headway check` prints everything that is wrong with it, each with its line. The environment
# overrides single keys of [server] and [scheduler]: HEADWAY_SERVER__BIND=127.0.0.1:9000

[server]
bind = "127.0.0.1:8787"             # loopback only; port 0 takes a free one
data_dir = "./headway-data"         # the database, and a directory for each run
shutdown_grace_s = 30               # how long a shutdown waits for the programs that still run
legacy_triggers = "subprocess"      # POST /jobs/TYPE/trigger: "subprocess", "scheduler" or "off"
# sunset = 2030-01-01               # when the legacy triggers end; clients get the date
allowed_hosts = []                  # further names by which clients may call this server
max_body_bytes = 16_777_216         # the largest batch; others: 2 MiB
# max_streams = 652                 # streams, downloads and waits at once; without it, 3/4 of the
#                                   # connections that the limit of open files allows
# max_streams_per_address = 435     # those of one client's address; without it, half of them
read_timeout_s = 10                 # how long a search may take before it is refused
log_format = "auto"                 # "console", "json", or "auto": console on a terminal
log_level = "info"                  # "debug", "info", "warning" or "error"

[scheduler]
concurrency = 1                     # programs at once; with 1 the order is total
max_queued = 1_000_000              # a further Job is refused
max_triggered = 32                  # programs of legacy triggers at once; they count as queued too
max_direct = 100                    # direct runs that wait for a slot
max_reservations = 32               # reservations that wait for a slot or hold one
max_reservation_s = 86_400          # the longest of them
free_space_bytes = 67_108_864       # with less on the disk of data_dir nothing starts; 0: no limit

# A job type is a command line, never given to a shell, and the parameters that complete it. A
# parameter is JSON Schema plus its way to the program: arg = "--name" makes one argument
# --name=value (true: the bare flag; an array: one for each item), positional = true puts the value
# after "--". A value is never split and cannot become an option. secret = true hides it in answers.
# input = "json" sends all parameters to standard input instead. env lists what the program
# gets: true passes a variable on from the server, {data_dir} is the absolute data_dir.

[job_types.story]
description = "Write short horror stories"
command = ["{python}", "-m", "pipelines.story"]   # {python}: the interpreter that runs headway
timeout_s = 900                                   # then TERM, and KILL after kill_grace_s
kill_grace_s = 10
skip_exit_codes = [77]                            # "nothing to do": the run is SKIPPED
# concurrency = 1                                 # at most so many of this type at once
# adopt = true                                    # false: start programs without the shim, which
#                                                 # costs less; but a server that crashes cannot go
#                                                 # on waiting for them: they are ended, interrupted
# separator = true                                # false: no "--" before positional parameters
# output = "pipe"                                 # "file": the log itself is the standard output,
#                                                 # a little cheaper; but a shell's > /dev/stderr
#                                                 # truncates it
# output_limit_bytes = 67_108_864
# on_output_limit = "drop"                        # drop the middle of the output, or "fail" the run
# artifact_limit_bytes = 10_737_418_240           # of the disk, for what a run leaves
# artifact_limit_files = 10_000
# report_limit_bytes = 16_777_216                 # of a report is read, and then its last MiB
# on_artifact_limit = "drop"                      # do not keep what is beyond, or "fail" the run
# directory = "{config_dir}"                       # programs start there, not in a fresh directory
# env_file = "{config_dir}/story.env"             # NAME=value lines; only its owner may read it
env.OPENAI_BASE_URL = true
env.OPENAI_API_KEY = true
env.PIPELINES_LIBRARY = "{data_dir}/library"

[job_types.story.params.max_stories]
description = "How many to write"
type = "integer"
minimum = 1
maximum = 200
default = 1
arg = "--max-stories"

[job_types.story.params.duration_seconds]
description = "Begin no new story after this time"
type = "number"
exclusiveMinimum = 0
arg = "--duration-seconds"

[job_types.story.params.interval_seconds]
description = "Wait between two stories"
type = "number"
minimum = 0
arg = "--interval-seconds"

[job_types.story.params.enable_dedup]
description = "Do not write what is there already, or nearly; skipped if that is all"
type = "boolean"
default = false
arg = "--enable-dedup"

[job_types.story.params.topic]
description = "What the stories are to touch upon"
type = "string"
maxLength = 200
arg = "--topic"

[job_types.story.params.seed]
description = "The same seed makes the same stories"
type = "integer"
minimum = 0
arg = "--seed"

[job_types.story.params.model]
description = "Ask this model at OPENAI_BASE_URL instead of working offline"
type = "string"
minLength = 1
maxLength = 200
arg = "--model"

[job_types.research]
description = "Search texts for a topic and write a research card"
command = ["{python}", "-m", "pipelines.research", "run"]
timeout_s = 900
env.OPENAI_BASE_URL = true
env.OPENAI_API_KEY = true
env.PIPELINES_LIBRARY = "{data_dir}/library"
required = ["topic"]

[job_types.research.params.topic]
description = "What to look for"
type = "string"
minLength = 1
maxLength = 200
pattern = '\\S'                                    # not only spaces
positional = true

[job_types.research.params]                       # the same in short form
sources = { type = "array", items = { type = "string", minLength = 1 }, arg = "--sources" }
model = { type = "string", minLength = 1, maxLength = 200, arg = "--model" }
"""
