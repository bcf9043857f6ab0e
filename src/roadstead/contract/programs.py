"""The programs of an instance among themselves: users of the machine, files, environment, and what is usual.

`core.instance` has the places that follow from an instance's id, `core.program` what each program does at its start.
"""

from __future__ import annotations

USER = "roadstead"
"""The system user of serve."""
PORTER_USER = "roadstead-porter"
"""That of porter, who is asked by everyone and is to have nothing of serve's."""
ENGINES_USER = "roadstead-engines"
"""The one who gets and builds engines, which root's agent runs: nobody else may write to them."""

SETTINGS = "settings.json"
"""In an instance's state, for all to read: what it was started with."""
RECORD = "instance.json"
"""In an instance's state: the agent's record that it exists, by which it is purged."""
PID = "agent.pid"
"""In an instance's folder of what is gone with a reboot."""
CLUSTERS = "names.json"
"""In serve's state: `{"REGION/NAME": "c-1a2b3c4d"}`, of all clusters that there are."""
CA = "roadstead-ca.pem"
"""In a person's AWS folder: the authority of serve's certificate, which their profile names."""
PROFILE = "roadstead"
"""The AWS profile of who calls."""

ADDRESS, PORT, REGION = "127.0.0.1", 4566, "eu-central-1"
"""Where the AWS APIs listen, and the region of the profile, when nobody has said otherwise."""

CACHE = "ROADSTEAD_CACHE"
"""The environment's word for the cache of engines: a full path."""
ENGINE_PATH = "ROADSTEAD_ENGINE_PATH"
"""A folder with engines that a person has."""
CHECKOUT = "ROADSTEAD_CHECKOUT"
"""The launcher's word: where it stands."""
CALLER = ("ROADSTEAD_USER_UID", "ROADSTEAD_USER_GID", "ROADSTEAD_USER_HOME")
"""The launcher's words, when it has gone through sudo: on whose behalf."""
SUDO_CALLER = ("SUDO_UID", "SUDO_GID", "SUDO_HOME")
"""sudo's own words for the same."""
