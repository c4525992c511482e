#!/usr/bin/env node
/** Starts `nbic`. As launch.cts, only what Node 8 knows. */
require('../launch.cjs')('nbic');
