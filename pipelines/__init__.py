"""Two ordinary programs that headway can run: `pipelines.story` and `pipelines.research`.

They use nothing of headway but the environment of a program (HEADWAY_REPORT and HEADWAY_ARTIFACTS),
use the standard library only, and work offline. Nothing here imports any other package of this
repository.
"""
