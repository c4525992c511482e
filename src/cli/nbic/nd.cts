#!/usr/bin/env node
/** Starts `nd`. As launch.cts, only what Node 8 knows. */
require('../launch.cjs')('nd');
