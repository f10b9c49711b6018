"""`headway direct`: run a job type now, ahead of the queue."""

from cyclopts import App

from headway.cli.exit_status import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    exit_with,
    print_note,
)
from headway.cli.options import (
    DEFAULT_URL,
    AsJson,
    Pairs,
    ParamsJson,
    Raw,
    TypeName,
    Url,
    connect,
    print_json,
    read_params,
)
from headway.cli.output import show_text


def register(app: App) -> None:
    """Add the command to `app`."""
    app.command(direct)


@exit_with
def direct(
    type: TypeName,
    /,
    *,
    param: Pairs = None,
    params: ParamsJson = None,
    raw: Raw = False,
    url: Url = DEFAULT_URL,
    json: AsJson = False,
) -> int:
    """Run ahead of the queue, wait for the end, print the end of the output. Ctrl-C cancels it."""
    from headway.model.run import RunStatus

    with connect(url) as client:
        given = read_params(client, type, params, param)
        try:
            run = client.direct(type, given)
        except KeyboardInterrupt:
            print_note("The direct run was abandoned; the server ends it.")
            return EXIT_INTERRUPTED
    if json:
        print_json(run)
    else:
        from headway.cli.job_view import outcome_text

        show_text(run.log_tail, end="", raw=raw)
        print_note(outcome_text(run.status, None, run))
    return EXIT_DONE if run.status in (RunStatus.COMPLETED, RunStatus.SKIPPED) else EXIT_FAILED
