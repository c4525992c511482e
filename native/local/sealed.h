// This program, as a copy in memory that nobody can change. Owns nothing.
#pragma once

namespace local {

// Starts itself again from such a copy, unless it is one: /proc/1/exe of the world is a way to the
// file that init was started from, and that file must not be the server's. Returns 0, or an errno.
int RunSealed(char** argv);

}  // namespace local
