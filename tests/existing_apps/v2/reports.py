"""A function that needs no secret."""

import logging

import azure.functions as func

reports = func.Blueprint()


@reports.timer_trigger(arg_name="mytimer", schedule="0 */5 * * * *")
def nightly_report(mytimer: func.TimerRequest) -> None:
    logging.info("Late: %s", mytimer.past_due)
