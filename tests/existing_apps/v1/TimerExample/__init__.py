"""A function that needs no secret."""

import logging

import azure.functions as func
from shared_code import partner


def main(mytimer: func.TimerRequest) -> None:
    logging.info("%s, late: %s", partner.__name__, mytimer.past_due)
