# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true: which messages were asked for, which of them were accepted, what was read."""

import collections

# Every text carries this, so that it can be looked for where nothing may be readable.
MARK = "plainly-readable"


class Difference(Exception):
    """What is and what should be differ."""


class Sent:
    """One message as its sender asked for it."""

    def __init__(self, device, peer, number, text, insist, photo=None):
        self.device, self.peer, self.number, self.text = device, peer, number, text
        self.user = device.split("-")[0]
        self.insist = insist  # to be asked again, until it is answered, as a careful frontend does
        self.photo = photo
        self.message_id = f"m-{number:06}"
        self.accepted = False  # messages.send has answered
        self.waiting = 0       # requests without an answer
        self.failed = False    # its device shows it as FAILED, with the server's reason
        self.refusable = False  # asked for while the server refused messages
        self.gone = False      # asked of a daemon whose data were removed


class Model:
    def __init__(self):
        self.sent = {}  # by message id, in the order of asking
        self.read_least = collections.Counter()  # by (user, peer): the place known to be read
        self.read_most = collections.Counter()   # and the highest that anybody asked for
        self.figures = collections.Counter()
        self.faults = collections.Counter()
        self.asked = set()     # ids of what was asked for since the last rest
        self.refusals = False  # the server has been refusing messages since then

    def add(self, sent):
        self.sent[sent.message_id] = sent

    def nth(self, fraction):
        """One of the newest messages, or None."""
        recent = list(self.sent.values())[-60:]
        return recent[int(fraction * len(recent))] if recent else None

    def accept(self, sent):
        if not sent.accepted:
            self.figures["sends accepted"] += 1
        sent.accepted = True

    def settle_refusals(self):
        """What may have been refused is known once nothing is on its way any more."""
        if self.refusals:
            for id in self.asked:
                self.sent[id].refusable = True
        self.asked.clear()
        self.refusals = False

    def read_tried(self, user, peer, seq):
        key = (user, peer)
        self.read_most[key] = max(self.read_most[key], seq)

    def read_done(self, user, peer, seq):
        key = (user, peer)
        self.read_least[key] = max(self.read_least[key], seq)


def text_of(number, length):
    """Unlike every other text, of the length asked for, and found again by its mark."""
    text = f"{MARK} {number}."
    return text + " …" + "x" * (length - len(text)) if length > len(text) else text
