#!/usr/bin/env node
/** Starts `trace-files`. As launch.cts, only what Node 8 knows. */
require('../launch.cjs')('trace-files');
