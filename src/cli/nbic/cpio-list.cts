#!/usr/bin/env node
/** Starts `cpio-list`. As launch.cts, only what Node 8 knows. */
require('../launch.cjs')('cpio-list');
