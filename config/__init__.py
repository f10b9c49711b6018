"""The configuration: headway.toml, its settings, and the job types that it defines."""
