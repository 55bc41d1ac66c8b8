#!/bin/bash
# What a job runs on its machine. A site may name a script of its own (`template`), e.g. to load modules first; like this
# one it ends by becoming the command that it is given, so that the batch system's signals reach that command.
exec "$@"
